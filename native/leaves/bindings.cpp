#include "bindings.hpp"

#include <nanobind/stl/vector.h>

#include <algorithm>
#include <utility>

#include "codes.hpp"
#include "filter.hpp"
#include "search.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::leaves {
namespace {

void require_begins(const Array<const std::int64_t, 1>& begins, std::size_t leaves, std::size_t blocks) {
  require(begins.shape(0) == leaves + 1 && begins.data()[0] == 0 &&
              begins.data()[leaves] == static_cast<std::int64_t>(blocks),
          "begins must be [leaves + 1], from 0 to the number of blocks");
  for (std::size_t i = 0; i < leaves; ++i)
    require(begins.data()[i] <= begins.data()[i + 1], "leaves begin in ascending order");
}

// A part that keeps the arrays it looks at alive.
class OwnedPart {
 public:
  OwnedPart(std::int64_t dim, std::int64_t count, Array<const float, 2> rows, Array<const std::int64_t, 1> labels,
            Array<const float, 1> origin, Array<const std::uint32_t, 1> order, Array<const std::uint8_t, 3> codes,
            Array<const float, 1> scale, Array<const float, 1> bias)
      : dim_(dim),
        count_(count),
        rows_(std::move(rows)),
        labels_(std::move(labels)),
        origin_(std::move(origin)),
        order_(std::move(order)),
        codes_(std::move(codes)),
        scale_(std::move(scale)),
        bias_(std::move(bias)) {
    const std::size_t places = order_.shape(0), rows_there = static_cast<std::size_t>(count);
    require(dim >= 1 && dim <= kMaxDim, "a row has 1 to 16384 values");
    require(static_cast<std::int64_t>(origin_.shape(0)) == dim, "origin must be [dim]");
    require(places % kBlock == 0 && codes_.shape(0) * kBlock == places && codes_.shape(2) == kBlock * 4 &&
                static_cast<std::int64_t>(codes_.shape(1)) * 4 == code_stride(dim),
            "codes must be [blocks, stride / 4, 64]");
    require(scale_.shape(0) == places && (!bias_.is_valid() || bias_.shape(0) == places),
            "scale and bias must be [blocks * 16]");
    require(!rows_.is_valid() || (rows_.shape(0) == rows_there && static_cast<std::int64_t>(rows_.shape(1)) == dim),
            "rows must be [count, dim]");
    require(!labels_.is_valid() || labels_.shape(0) == rows_there, "labels must be [count]");
    for (std::size_t i = 0; labels_.is_valid() && i < rows_there; ++i)
      require(labels_.data()[i] >= 0, "labels must not be negative");
    for (std::size_t i = 0; i < places; ++i)
      require(order_.data()[i] == kNoRow || order_.data()[i] < rows_there, "order names a row that is not there");
  }

  std::int64_t dim() const { return dim_; }
  std::size_t places() const { return order_.shape(0); }
  bool has_bias() const { return bias_.is_valid(); }
  std::int64_t highest_label() const {
    if (count_ == 0) return -1;
    return labels_.is_valid() ? *std::max_element(labels_.data(), labels_.data() + count_) : count_ - 1;
  }
  std::size_t blocks() const { return codes_.shape(0); }

  Part view() const {
    Part part{};
    part.dim = dim_;
    part.origin = origin_.data();
    part.rows = data_or_null(rows_);
    part.labels = data_or_null(labels_);
    part.order = order_.data();
    part.run = {codes_.data(), scale_.data(), data_or_null(bias_), nullptr, static_cast<std::int64_t>(blocks()),
                code_stride(dim_)};
    return part;
  }

 private:
  std::int64_t dim_, count_;
  Array<const float, 2> rows_;
  Array<const std::int64_t, 1> labels_;
  Array<const float, 1> origin_;
  Array<const std::uint32_t, 1> order_;
  Array<const std::uint8_t, 3> codes_;
  Array<const float, 1> scale_, bias_;
};

// The leaves of a part: where each begins and what its rows are like.
class OwnedLeaves {
 public:
  OwnedLeaves(Array<const std::int64_t, 1> begins, Array<const std::uint8_t, 3> codes, Array<const float, 1> scale,
              Array<const float, 1> bias, Array<const float, 1> spreads, float reach)
      : begins_(std::move(begins)),
        codes_(std::move(codes)),
        scale_(std::move(scale)),
        bias_(std::move(bias)),
        spreads_(std::move(spreads)),
        reach_(reach) {
    const std::size_t leaves = spreads_.shape(0), places = codes_.shape(0) * kBlock;
    require(begins_.shape(0) == leaves + 1 && leaves >= 1 && places >= leaves && scale_.shape(0) == places &&
                bias_.shape(0) == places && codes_.shape(2) == kBlock * 4,
            "the arrays of the leaves do not fit together");
    require_begins(begins_, leaves, static_cast<std::size_t>(begins_.data()[leaves]));
  }

  std::size_t count() const { return spreads_.shape(0); }

  void add_to(Part& part, const float* sizes) const {
    require(begins_.data()[count()] == part.run.blocks, "the last leaf ends with the last block");
    require(static_cast<std::int64_t>(codes_.shape(1)) * 4 == part.run.stride, "centroids are as wide as the rows");
    part.leaves = static_cast<std::int64_t>(count());
    part.begins = begins_.data();
    part.sizes = sizes;
    part.spreads = spreads_.data();
    part.reach = reach_;
    part.centroids = {codes_.data(), scale_.data(), bias_.data(), nullptr,
                      static_cast<std::int64_t>(codes_.shape(0)), part.run.stride};
  }

 private:
  Array<const std::int64_t, 1> begins_;
  Array<const std::uint8_t, 3> codes_;
  Array<const float, 1> scale_, bias_, spreads_;
  float reach_;
};

// A part as one state of an index sees it: with or without leaves, some rows dead or filtered out.
struct View {
  const OwnedPart* part;
  const OwnedLeaves* leaves;
  Array<const float, 1> sizes;
  Array<const std::uint16_t, 1> allowed;

  View(const OwnedPart* part_, const OwnedLeaves* leaves_, Array<const float, 1> sizes_,
       Array<const std::uint16_t, 1> allowed_)
      : part(part_), leaves(leaves_), sizes(std::move(sizes_)), allowed(std::move(allowed_)) {
    require((leaves == nullptr) == !sizes.is_valid() && (leaves == nullptr || sizes.shape(0) == leaves->count()),
            "sizes must be [leaves]");
    require(!allowed.is_valid() || allowed.shape(0) == part->blocks(), "allowed must be [blocks]");
    view();
  }

  Part view() const {
    Part result = part->view();
    result.run.allowed = data_or_null(allowed);
    if (leaves != nullptr) leaves->add_to(result, sizes.data());
    return result;
  }
};

void search_views(const std::vector<const View*>& views, Array<const float, 2> queries, bool squared_distance,
                  std::int64_t keep, float effort, Array<const std::int64_t, 1> excluded,
                  Array<const std::int64_t, 1> excluded_offsets, int threads, Array<std::int64_t, 2> labels,
                  Array<float, 2> scores) {
  Search job{};
  require(!views.empty(), "there is nothing to search");
  std::size_t places = 0;
  for (const View* view : views) {
    job.parts.push_back(view->view());
    require(job.parts.back().dim == static_cast<std::int64_t>(queries.shape(1)), "queries are as wide as the rows");
    require(job.parts.back().origin == job.parts.front().origin, "all parts are coded from one origin");
    require(!squared_distance || job.parts.back().run.bias != nullptr, "distances need a bias");
    places += view->part->blocks() * kBlock;
  }
  require(places < kNoRow, "there are more rows than 32 bits count");
  job.metric = squared_distance ? Metric::kL2 : Metric::kDot;
  job.queries = queries.data();
  job.batch = static_cast<std::int64_t>(queries.shape(0));
  job.k = static_cast<std::int64_t>(labels.shape(1));
  job.keep = std::max(keep, job.k);
  job.effort = effort;
  job.excluded = data_or_null(excluded);
  job.excluded_offsets = data_or_null(excluded_offsets);
  job.threads = threads;
  require(job.k >= 1 && scores.shape(1) == labels.shape(1), "labels and scores must be [batch, k], k >= 1");
  require(labels.shape(0) == queries.shape(0) && scores.shape(0) == queries.shape(0), "one row for each query");
  require(excluded.is_valid() == excluded_offsets.is_valid() &&
              (!excluded_offsets.is_valid() || excluded_offsets.shape(0) == queries.shape(0) + 1),
          "excluded_offsets must be [batch + 1]");
  nb::gil_scoped_release unlocked;
  search(job, labels.data(), scores.data());
}

}  // namespace

void bind(nb::module_& m) {
  m.attr("LEAF_BLOCK") = kBlock;
  m.attr("LEAF_MAX_DIM") = kMaxDim;
  m.attr("NO_ROW") = kNoRow;

  // noconvert: an array of another type or layout is refused, never copied behind the caller's back.
  nb::class_<OwnedPart>(m, "LeafPart")
      .def(nb::init<std::int64_t, std::int64_t, Array<const float, 2>, Array<const std::int64_t, 1>,
                    Array<const float, 1>, Array<const std::uint32_t, 1>, Array<const std::uint8_t, 3>,
                    Array<const float, 1>, Array<const float, 1>>(),
           "dim"_a, "count"_a, "rows"_a.noconvert().none(), "labels"_a.noconvert().none(), "origin"_a.noconvert(),
           "order"_a.noconvert(), "codes"_a.noconvert(), "scale"_a.noconvert(), "bias"_a.noconvert().none());
  nb::class_<OwnedLeaves>(m, "LeafTable")
      .def(nb::init<Array<const std::int64_t, 1>, Array<const std::uint8_t, 3>, Array<const float, 1>,
                    Array<const float, 1>, Array<const float, 1>, float>(),
           "begins"_a.noconvert(), "codes"_a.noconvert(), "scale"_a.noconvert(), "bias"_a.noconvert(),
           "spreads"_a.noconvert(), "reach"_a);
  nb::class_<View>(m, "LeafView")
      .def(nb::init<const OwnedPart*, const OwnedLeaves*, Array<const float, 1>, Array<const std::uint16_t, 1>>(),
           "part"_a, "leaves"_a.none(), "sizes"_a.noconvert().none(), "allowed"_a.noconvert().none(),
           nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>());

  m.def("leaf_search", &search_views, "views"_a, "queries"_a.noconvert(), "squared_distance"_a, "keep"_a, "effort"_a,
        "excluded"_a.noconvert().none(), "excluded_offsets"_a.noconvert().none(), "threads"_a,
        "labels"_a.noconvert(), "scores"_a.noconvert());

  m.def(
      "leaf_allow",
      [](const View& view, Array<const bool, 1> where, Array<std::uint16_t, 1> allowed) {
        require(static_cast<std::int64_t>(where.shape(0)) > view.part->highest_label(),
                "where must reach up to the highest label");
        require(allowed.shape(0) == view.part->blocks(), "allowed must be [blocks]");
        nb::gil_scoped_release unlocked;
        allow(view.view(), where.data(), allowed.data());
      },
      "view"_a, "where"_a.noconvert(), "allowed"_a.noconvert());

  m.def(
      "leaf_sizes",
      [](Array<const std::uint16_t, 1> allowed, Array<const std::int64_t, 1> begins, Array<float, 1> sizes) {
        require_begins(begins, sizes.shape(0), allowed.shape(0));
        nb::gil_scoped_release unlocked;
        count_allowed(allowed.data(), begins.data(), static_cast<std::int64_t>(sizes.shape(0)), sizes.data());
      },
      "allowed"_a.noconvert(), "begins"_a.noconvert(), "sizes"_a.noconvert());

  m.def(
      "leaf_copy_allowed",
      [](const View& view, Array<const std::uint16_t, 1> allowed, Array<const std::int64_t, 1> begins,
         Array<std::uint8_t, 3> codes, Array<float, 1> scale, Array<float, 1> bias, Array<std::uint32_t, 1> order) {
        const Part part = view.view();
        const std::size_t leaves = part.leaves == 0 ? 1 : static_cast<std::size_t>(part.leaves);
        require(allowed.shape(0) == view.part->blocks(), "allowed must be [blocks]");
        require_begins(begins, leaves, codes.shape(0));
        require(codes.shape(1) == static_cast<std::size_t>(part.run.stride / 4) && codes.shape(2) == kBlock * 4 &&
                    scale.shape(0) == codes.shape(0) * kBlock && order.shape(0) == scale.shape(0) &&
                    bias.is_valid() == view.part->has_bias() &&
                    (!bias.is_valid() || bias.shape(0) == scale.shape(0)),
                "the arrays to fill do not fit together");
        std::vector<float> sizes(leaves);
        const std::int64_t whole[2] = {0, part.run.blocks};
        count_allowed(allowed.data(), part.leaves == 0 ? whole : part.begins, static_cast<std::int64_t>(leaves),
                      sizes.data());
        for (std::size_t i = 0; i < leaves; ++i)
          require(sizes[i] <= static_cast<float>((begins.data()[i + 1] - begins.data()[i]) * kBlock),
                  "begins leaves too little room");
        nb::gil_scoped_release unlocked;
        copy_allowed(part, allowed.data(),
                     {begins.data(), codes.data(), scale.data(), data_or_null(bias), order.data()});
      },
      "view"_a, "allowed"_a.noconvert(), "begins"_a.noconvert(), "codes"_a.noconvert(), "scale"_a.noconvert(),
      "bias"_a.noconvert().none(), "order"_a.noconvert());

  bind_build(m);
}

}  // namespace shortlist::leaves
