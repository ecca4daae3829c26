// The module `shortlist._native`. It checks no more than it needs to stay in bounds: the Python module
// `shortlist.kernels` is its only caller and says what is wrong in words.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <utility>

#include "arrays.hpp"
#include "checksum.hpp"
#include "dynamic/bindings.hpp"
#include "leaves/bindings.hpp"
#include "normalise.hpp"
#include "search.hpp"
#include "lists/bindings.hpp"
#include "networks/bindings.hpp"
#include "softmax/bindings.hpp"
#include "tables/bindings.hpp"
#include "training/bindings.hpp"
#include "turnstile/bindings.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace shortlist;

namespace {

static_assert(sizeof(BlockStats) == 5 * sizeof(double));

// A segment that keeps the arrays it looks at alive.
class OwnedSegment {
 public:
  OwnedSegment(Array<const float, 2> rows, Array<const std::uint8_t, 3> codes, Array<const double, 2> stats,
               Array<const std::uint32_t, 1> order, Array<const std::int64_t, 1> labels)
      : rows_(std::move(rows)),
        codes_(std::move(codes)),
        stats_(std::move(stats)),
        order_(std::move(order)),
        labels_(std::move(labels)) {
    const std::size_t blocks = (count() + kBlockRows - 1) / kBlockRows;
    require(dim() >= 1 && dim() <= kMaxDim, "a row has 1 to 65536 values");
    require(codes_.is_valid() == stats_.is_valid() && codes_.is_valid() == order_.is_valid(),
            "codes, stats and order come together");
    if (codes_.is_valid()) {
      require(codes_.shape(0) == blocks && codes_.shape(1) == kBlockRows &&
                  static_cast<std::int64_t>(codes_.shape(2)) == code_stride(dim()),
              "codes must be [blocks, 64, stride]");
      require(stats_.shape(0) == blocks && stats_.shape(1) == 5, "stats must be [blocks, 5]");
      require(order_.shape(0) == count(), "order must be [count]");
      for (std::size_t i = 0; i < count(); ++i)
        require(order_.data()[i] < count(), "order names a row that is not there");
    }
    require(!labels_.is_valid() || labels_.shape(0) == count(), "labels must be [count]");
    highest_label_ = static_cast<std::int64_t>(count()) - 1;
    if (labels_.is_valid() && count() > 0) {
      const auto [least, most] = std::minmax_element(labels_.data(), labels_.data() + count());
      require(*least >= 0, "labels must not be negative");
      highest_label_ = *most;
    }
  }

  std::size_t count() const { return rows_.shape(0); }
  std::int64_t dim() const { return static_cast<std::int64_t>(rows_.shape(1)); }

  std::int64_t highest_label() const { return highest_label_; }

  Segment view(const bool* dead) const {
    return {rows_.data(),
            static_cast<std::int64_t>(count()),
            data_or_null(codes_),
            reinterpret_cast<const BlockStats*>(data_or_null(stats_)),
            data_or_null(order_),
            data_or_null(labels_),
            dead};
  }

 private:
  Array<const float, 2> rows_;
  Array<const std::uint8_t, 3> codes_;
  Array<const double, 2> stats_;
  Array<const std::uint32_t, 1> order_;
  Array<const std::int64_t, 1> labels_;
  std::int64_t highest_label_;
};

// `dead` has an array for each segment, empty where all its rows live.
std::int64_t top_k(const std::vector<const OwnedSegment*>& segments, const std::vector<Array<const bool, 1>>& dead,
                   Array<const float, 2> queries, bool squared_distance, Array<const bool, 1> where,
                   Array<const std::int64_t, 1> excluded, Array<const std::int64_t, 1> excluded_offsets, int threads,
                   Array<std::int64_t, 2> labels, Array<double, 2> scores) {
  Search job{};
  job.dim = static_cast<std::int64_t>(queries.shape(1));
  job.metric = squared_distance ? Metric::kL2 : Metric::kDot;
  job.queries = queries.data();
  job.batch = static_cast<std::int64_t>(queries.shape(0));
  job.k = static_cast<std::int64_t>(labels.shape(1));
  job.where = data_or_null(where);
  job.excluded = data_or_null(excluded);
  job.excluded_offsets = data_or_null(excluded_offsets);
  job.threads = threads;
  require(dead.size() == segments.size(), "one entry of dead for each segment");
  for (std::size_t i = 0; i < segments.size(); ++i) {
    require(segments[i]->dim() == job.dim, "queries are as wide as the rows");
    require(!where.is_valid() || segments[i]->highest_label() < static_cast<std::int64_t>(where.shape(0)),
            "where must reach up to the highest label");
    const bool any_dead = dead[i].shape(0) > 0;
    require(!any_dead || dead[i].shape(0) == segments[i]->count(), "dead must be [count] or empty");
    job.segments.push_back(segments[i]->view(any_dead ? dead[i].data() : nullptr));
  }
  require(job.k >= 1 && scores.shape(1) == labels.shape(1), "labels and scores must be [batch, k], k >= 1");
  require(labels.shape(0) == queries.shape(0) && scores.shape(0) == queries.shape(0), "one row for each query");
  require(excluded.is_valid() == excluded_offsets.is_valid() &&
              (!excluded_offsets.is_valid() || excluded_offsets.shape(0) == queries.shape(0) + 1),
          "excluded_offsets must be [batch + 1]");
  nb::gil_scoped_release unlocked;
  return search(job, labels.data(), scores.data());
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Native kernels of shortlist; use them through shortlist.kernels.";
  m.attr("BLOCK_ROWS") = kBlockRows;
  m.attr("MAX_DIM") = kMaxDim;

  // noconvert: an array of another type or layout is refused, never copied behind the caller's back.
  nb::class_<OwnedSegment>(m, "Segment")
      .def(nb::init<Array<const float, 2>, Array<const std::uint8_t, 3>, Array<const double, 2>,
                    Array<const std::uint32_t, 1>, Array<const std::int64_t, 1>>(),
           "rows"_a.noconvert(), "codes"_a.noconvert().none(), "stats"_a.noconvert().none(),
           "order"_a.noconvert().none(), "labels"_a.noconvert().none())
      .def_prop_ro("count", &OwnedSegment::count);

  m.def("top_k", &top_k, "segments"_a, "dead"_a.noconvert(), "queries"_a.noconvert(), "squared_distance"_a,
        "where"_a.noconvert().none(), "excluded"_a.noconvert().none(), "excluded_offsets"_a.noconvert().none(),
        "threads"_a, "labels"_a.noconvert(), "scores"_a.noconvert());

  m.def(
      "row_norms",
      [](Array<const float, 2> rows, int threads, Array<double, 1> norms) {
        require(norms.shape(0) == rows.shape(0), "norms must be [count]");
        nb::gil_scoped_release unlocked;
        row_norms(rows.data(), static_cast<std::int64_t>(rows.shape(0)), static_cast<std::int64_t>(rows.shape(1)),
                  threads, norms.data());
      },
      "rows"_a.noconvert(), "threads"_a, "norms"_a.noconvert());

  m.def(
      "encode",
      [](Array<const float, 2> rows, Array<const std::uint32_t, 1> order, Array<const double, 1> norms, int threads,
         Array<std::uint8_t, 3> codes, Array<double, 2> stats) {
        const auto count = static_cast<std::int64_t>(rows.shape(0)), dim = static_cast<std::int64_t>(rows.shape(1));
        const std::size_t blocks = (rows.shape(0) + kBlockRows - 1) / kBlockRows;
        require(order.shape(0) == rows.shape(0) && norms.shape(0) == rows.shape(0), "order and norms must be [count]");
        require(codes.shape(0) == blocks && codes.shape(1) == kBlockRows && stats.shape(0) == blocks &&
                    stats.shape(1) == 5 && static_cast<std::int64_t>(codes.shape(2)) == code_stride(dim),
                "codes must be [blocks, 64, stride] and stats [blocks, 5]");
        nb::gil_scoped_release unlocked;
        encode(rows.data(), count, dim, order.data(), norms.data(), threads, codes.data(),
               reinterpret_cast<BlockStats*>(stats.data()));
      },
      "rows"_a.noconvert(), "order"_a.noconvert(), "norms"_a.noconvert(), "threads"_a, "codes"_a.noconvert(),
      "stats"_a.noconvert());

  dynamic::bind(m);
  leaves::bind(m);
  lists::bind(m);
  networks::bind(m);
  softmax::bind(m);
  tables::bind(m);
  training::bind(m);
  turnstile::bind(m);

  m.def(
      "normalise",
      [](Array<const float, 2> rows, Array<float, 2> normalised) {
        require(rows.shape(0) == normalised.shape(0) && rows.shape(1) == normalised.shape(1),
                "as many rows as wide as those to fill");
        nb::gil_scoped_release unlocked;
        normalise(rows.data(), static_cast<std::int64_t>(rows.shape(0)), static_cast<std::int64_t>(rows.shape(1)),
                  normalised.data());
      },
      "rows"_a.noconvert(), "normalised"_a.noconvert());
  m.def(
      "checksum",
      [](Array<const std::uint8_t, 1> bytes, int threads) {
        nb::gil_scoped_release unlocked;
        return checksum(bytes.data(), static_cast<std::int64_t>(bytes.shape(0)), threads);
      },
      "bytes"_a.noconvert(), "threads"_a);

  m.def("use_kernels", &use_kernels, "name"_a);
  m.def("kernels_in_use", [] { return std::string(kernels().name); });
}
