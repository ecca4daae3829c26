#include "bindings.hpp"

#include <nanobind/stl/vector.h>

#include <algorithm>
#include <utility>

#include "codes.hpp"
#include "filter.hpp"
#include "search.hpp"
#include "views.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::leaves {
namespace {

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
    const Frame &frame = job.parts.back().frame, &first = job.parts.front().frame;
    require(frame.origin == first.origin && frame.mirrors == first.mirrors, "all parts are coded in one frame");
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
                    Array<const float, 1>, Array<const float, 3>, Array<const std::uint32_t, 1>,
                    Array<const std::uint8_t, 3>, Array<const std::uint8_t, 2>, Array<const float, 1>,
                    Array<const float, 1>>(),
           "dim"_a, "count"_a, "rows"_a.noconvert().none(), "labels"_a.noconvert().none(), "origin"_a.noconvert(),
           "mirrors"_a.noconvert().none(), "order"_a.noconvert(), "codes"_a.noconvert(), "rest"_a.noconvert().none(),
           "scale"_a.noconvert(), "bias"_a.noconvert().none());
  nb::class_<OwnedLeaves>(m, "LeafTable")
      .def(nb::init<Array<const std::int64_t, 1>, Array<const std::uint8_t, 3>, Array<const std::uint8_t, 2>,
                    Array<const float, 1>, Array<const float, 1>, Array<const float, 1>, Array<const float, 1>, float,
                    float>(),
           "begins"_a.noconvert(), "codes"_a.noconvert(), "rest"_a.noconvert().none(), "scale"_a.noconvert(),
           "bias"_a.noconvert(), "spreads"_a.noconvert(), "rest_spreads"_a.noconvert().none(), "reach"_a, "slack"_a);
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
         Array<std::uint8_t, 3> codes, Array<std::uint8_t, 2> rest, Array<float, 1> scale, Array<float, 1> bias,
         Array<std::uint32_t, 1> order) {
        const Part part = view.view();
        const std::size_t leaves = part.leaves == 0 ? 1 : static_cast<std::size_t>(part.leaves);
        require(allowed.shape(0) == view.part->blocks(), "allowed must be [blocks]");
        require_begins(begins, leaves, codes.shape(0));
        require(codes.shape(1) == static_cast<std::size_t>(part.run.stride / 4) && codes.shape(2) == kBlock * 4 &&
                    scale.shape(0) == codes.shape(0) * kBlock && order.shape(0) == scale.shape(0) &&
                    rest.is_valid() == view.part->is_cut() && bias.is_valid() == view.part->has_bias() &&
                    (!rest.is_valid() || (rest.shape(0) == scale.shape(0) &&
                                          static_cast<std::int64_t>(rest.shape(1)) == part.run.rest_stride)) &&
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
                     {begins.data(), codes.data(), data_or_null(rest), scale.data(), data_or_null(bias), order.data()});
      },
      "view"_a, "allowed"_a.noconvert(), "begins"_a.noconvert(), "codes"_a.noconvert(), "rest"_a.noconvert().none(),
      "scale"_a.noconvert(), "bias"_a.noconvert().none(), "order"_a.noconvert());

  bind_build(m);
}

}  // namespace shortlist::leaves
