#include "bindings.hpp"

#include "../arrays.hpp"
#include "kernels.hpp"
#include "losses.hpp"

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
  for (std::size_t i = 1; i < bounds; ++i) require(offsets.data()[i] >= offsets.data()[i - 1], "offsets never fall");
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
        cross_entropy(batch, targets.data(), threads, values.data(), totals.data(), data_or_null(slopes));
      },
      "scores"_a.noconvert(), "offsets"_a.noconvert(), "targets"_a.noconvert(), "threads"_a, "values"_a.noconvert(),
      "totals"_a.noconvert(), "slopes"_a.noconvert().none());

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
