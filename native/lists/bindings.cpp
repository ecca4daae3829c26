#include "bindings.hpp"

#include <algorithm>

#include "../arrays.hpp"
#include "diversity.hpp"
#include "kernels.hpp"
#include "losses.hpp"
#include "order.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::lists {
namespace {

using Floats = Array<const float, 1>;
using Places = Array<const std::int64_t, 1>;
using Results = Array<float, 1>;

Batch batch_of(const Floats& scores, const Places& offsets) {
  const std::size_t bounds = offsets.shape(0);
  require(bounds >= 1 && offsets.data()[0] == 0, "offsets start with 0");
  bool rising = true;  // looked at in vectors, which a test of each could not be
  for (std::size_t i = 1; i < bounds; ++i) rising &= offsets.data()[i] >= offsets.data()[i - 1];
  require(rising, "offsets never fall");
  require(offsets.data()[bounds - 1] == static_cast<std::int64_t>(scores.shape(0)), "offsets end with the items");
  return {offsets.data(), static_cast<std::int64_t>(bounds) - 1, scores.data()};
}

std::size_t longest(const Batch& batch) {
  std::int64_t most = 0;
  for (std::int64_t i = 0; i < batch.lists; ++i) {
    const std::int64_t count = batch.offsets[i + 1] - batch.offsets[i];
    most = count > most ? count : most;
  }
  return static_cast<std::size_t>(most);
}

template <class AnyArray>
void require_items(const AnyArray& array, const Floats& scores, const char* what) {
  require(!array.is_valid() || array.shape(0) == scores.shape(0), what);
}

void require_lists(const Results& array, const Batch& batch, const char* what) {
  require(array.shape(0) == static_cast<std::size_t>(batch.lists), what);
}

}  // namespace

void bind(nb::module_& m) {
  m.attr("LIST_ROOM") = kRoom;

  m.def(
      "list_logistic",
      [](Floats scores, Places offsets, Floats labels, Floats weights, Floats gains, Floats near, Floats lift,
         Floats single, std::int64_t top_n, int threads, Results values, Results totals, Results slopes) {
        const Batch batch = batch_of(scores, offsets);
        require(labels.is_valid(), "labels must be given");
        for (const Floats* each : {&labels, &weights, &gains}) require_items(*each, scores, "one value an item");
        require_items(slopes, scores, "slopes must be [total]");
        require_lists(values, batch, "values must be [lists]");
        require_lists(totals, batch, "totals must be [lists]");
        const std::size_t room = longest(batch) + kRoom;
        for (const Floats* each : {&near, &lift, &single})
          require(gains.is_valid() == each->is_valid() && (!each->is_valid() || each->shape(0) >= room),
                  "tables come with gains, as long as the longest list and its room");
        const Discounts discounts = {data_or_null(near), data_or_null(lift), data_or_null(single), top_n};
        nb::gil_scoped_release unlocked;
        logistic(batch, labels.data(), data_or_null(weights), data_or_null(gains), discounts, threads, values.data(),
                 totals.data(), data_or_null(slopes));
      },
      "scores"_a.noconvert(), "offsets"_a.noconvert(), "labels"_a.noconvert(), "weights"_a.noconvert().none(),
      "gains"_a.noconvert().none(), "near"_a.noconvert().none(), "lift"_a.noconvert().none(),
      "single"_a.noconvert().none(), "top_n"_a, "threads"_a, "values"_a.noconvert(), "totals"_a.noconvert(),
      "slopes"_a.noconvert().none());

  m.def(
      "list_smooth_ranks",
      [](Floats scores, Places offsets, int threads, Results ranks) {
        const Batch batch = batch_of(scores, offsets);
        require_items(ranks, scores, "ranks must be [total]");
        nb::gil_scoped_release unlocked;
        smooth_ranks(batch, threads, ranks.data());
      },
      "scores"_a.noconvert(), "offsets"_a.noconvert(), "threads"_a, "ranks"_a.noconvert());

  m.def(
      "list_smooth_rank_slopes",
      [](Floats scores, Places offsets, Floats by_rank, int threads, Results slopes) {
        const Batch batch = batch_of(scores, offsets);
        require_items(by_rank, scores, "by_rank must be [total]");
        require_items(slopes, scores, "slopes must be [total]");
        nb::gil_scoped_release unlocked;
        smooth_rank_slopes(batch, by_rank.data(), threads, slopes.data());
      },
      "scores"_a.noconvert(), "offsets"_a.noconvert(), "by_rank"_a.noconvert(), "threads"_a,
      "slopes"_a.noconvert());

  m.def(
      "list_cross_entropy",
      [](Floats scores, Places offsets, Floats targets, int threads, Results values, Results totals, Results slopes) {
        const Batch batch = batch_of(scores, offsets);
        require_items(targets, scores, "targets must be [total]");
        require_items(slopes, scores, "slopes must be [total]");
        require_lists(values, batch, "values must be [lists]");
        require_lists(totals, batch, "totals must be [lists]");
        nb::gil_scoped_release unlocked;
        return cross_entropy(batch, targets.data(), threads, values.data(), totals.data(), data_or_null(slopes));
      },
      "scores"_a.noconvert(), "offsets"_a.noconvert(), "targets"_a.noconvert(), "threads"_a, "values"_a.noconvert(),
      "totals"_a.noconvert(), "slopes"_a.noconvert().none());

  m.def(
      "list_products",
      [](Floats values, Places offsets, Floats factors, Results products) {
        const Batch batch = batch_of(values, offsets);
        require(factors.shape(0) == static_cast<std::size_t>(batch.lists), "factors must be [lists]");
        require_items(products, values, "products must be [total]");
        nb::gil_scoped_release unlocked;
        list_products(batch, factors.data(), products.data());
      },
      "values"_a.noconvert(), "offsets"_a.noconvert(), "factors"_a.noconvert(), "products"_a.noconvert());

  m.def(
      "list_best",
      [](Floats scores, Places offsets, Places items, std::int64_t keep, Array<std::int64_t, 1> order) {
        const Batch batch = batch_of(scores, offsets);
        require_items(items, scores, "items must be [total]");
        std::int64_t kept = 0;
        for (std::int64_t i = 0; i < batch.lists; ++i)
          kept += std::min(batch.offsets[i + 1] - batch.offsets[i], std::max<std::int64_t>(keep, 0));
        require(order.shape(0) == static_cast<std::size_t>(kept), "order must be as long as what is kept");
        nb::gil_scoped_release unlocked;
        best(batch, items.data(), keep, order.data());
      },
      "scores"_a.noconvert(), "offsets"_a.noconvert(), "items"_a.noconvert(), "keep"_a, "order"_a.noconvert());

  m.def(
      "list_marginal_relevance",
      [](Floats scores, Places offsets, Places items, Array<const float, 2> vectors, double strength,
         std::int64_t picks, Array<std::int64_t, 1> order, Results penalty) {
        const Batch batch = batch_of(scores, offsets);
        require_items(items, scores, "items must be [total]");
        require_items(order, scores, "order must be [total]");
        require_items(penalty, scores, "penalty must be [total]");
        bool inside = true;  // a negative item is a huge one
        for (std::size_t i = 0; i < items.shape(0); ++i)
          inside &= static_cast<std::uint64_t>(items.data()[i]) < vectors.shape(0);
        require(inside, "an item has no vector");
        const Vectors rows = {vectors.data(), static_cast<std::int64_t>(vectors.shape(1))};
        nb::gil_scoped_release unlocked;
        marginal_relevance(batch, items.data(), rows, strength, picks, order.data(), penalty.data());
      },
      "scores"_a.noconvert(), "offsets"_a.noconvert(), "items"_a.noconvert(), "vectors"_a.noconvert(), "strength"_a,
      "picks"_a, "order"_a.noconvert(), "penalty"_a.noconvert());

  m.def(
      "list_relative_scores",
      [](Floats scores, Places offsets, std::int64_t column, Array<float, 2> columns) {
        const Batch batch = batch_of(scores, offsets);
        require(columns.shape(0) == scores.shape(0), "columns must be [total, width]");
        const auto width = static_cast<std::int64_t>(columns.shape(1));
        require(column >= 0 && column + 3 <= width, "there must be three columns from that one on");
        nb::gil_scoped_release unlocked;
        relative_scores(batch, columns.data() + column, width);
      },
      "scores"_a.noconvert(), "offsets"_a.noconvert(), "column"_a, "columns"_a.noconvert());

  m.def(
      "list_ideal_dcg",
      [](Floats gains, Places offsets, Floats discounts, Results ideal) {
        const Batch batch = batch_of(gains, offsets);
        require_lists(ideal, batch, "ideal must be [lists]");
        nb::gil_scoped_release unlocked;
        ideal_dcg(batch, gains.data(), discounts.data(), static_cast<std::int64_t>(discounts.shape(0)), ideal.data());
      },
      "gains"_a.noconvert(), "offsets"_a.noconvert(), "discounts"_a.noconvert(), "ideal"_a.noconvert());
}

}  // namespace shortlist::lists
