#include "order.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "../selection.hpp"

namespace shortlist::lists {
namespace {

// The entries of a list by falling score; equal scores keep their order.
std::vector<Entry>& sorted(KeySorter& sorter, const float* scores, std::int64_t count) {
  std::vector<Entry>& entries = sorter.entries();
  entries.resize(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) entries[i] = {falling_bits(scores[i]), static_cast<std::uint32_t>(i)};
  sorter.sort();
  return entries;
}

// Runs of equal scores by rising item, as far as they begin among the first `keep`.
void break_ties(std::vector<Entry>& entries, std::int64_t keep, const std::int64_t* items) {
  const auto count = static_cast<std::int64_t>(entries.size());
  for (std::int64_t first = 0; first < std::min(count, keep);) {
    std::int64_t last = first + 1;
    while (last < count && entries[last].key == entries[first].key) ++last;
    if (last > first + 1)
      std::stable_sort(entries.begin() + first, entries.begin() + last,
                       [items](Entry a, Entry b) { return items[a.place] < items[b.place]; });
    first = last;
  }
}

// Fills log(rank) / 5 for ranks from 1 on, as far as they are asked for.
const std::vector<float>& log_ranks(std::int64_t count) {
  thread_local std::vector<float> known;
  while (static_cast<std::int64_t>(known.size()) < count)
    known.push_back(static_cast<float>(std::log(static_cast<double>(known.size() + 1)) / 5));
  return known;
}

double finite(float score) { return std::isfinite(score) ? score : 0.0; }

}  // namespace

void best(const Batch& batch, const std::int64_t* items, std::int64_t keep, std::int64_t* order) {
  KeySorter sorter;
  for (std::int64_t number = 0; number < batch.lists; ++number) {
    const std::int64_t first = batch.offsets[number], count = batch.offsets[number + 1] - first;
    std::vector<Entry>& entries = sorted(sorter, batch.scores + first, count);
    break_ties(entries, keep, items + first);
    for (std::int64_t i = 0; i < std::min(count, keep); ++i) *order++ = first + entries[i].place;
  }
}

void relative_scores(const Batch& batch, float* columns, std::int64_t stride) {
  KeySorter sorter;
  for (std::int64_t number = 0; number < batch.lists; ++number) {
    const std::int64_t first = batch.offsets[number], count = batch.offsets[number + 1] - first;
    const float* scores = batch.scores + first;
    float* own = columns + first * stride;
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += finite(scores[i]);
    const double mean = sum / static_cast<double>(std::max<std::int64_t>(count, 1));
    for (std::int64_t i = 0; i < count; ++i) squares += (finite(scores[i]) - mean) * (finite(scores[i]) - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(std::max<std::int64_t>(count, 1))) + 1e-9;
    for (std::int64_t i = 0; i < count; ++i)
      own[i * stride] = static_cast<float>((finite(scores[i]) - mean) / deviation);
    const std::vector<Entry>& entries = sorted(sorter, scores, count);
    const std::vector<float>& logs = log_ranks(count);
    for (std::int64_t rank = 0; rank < count; ++rank) {
      float* item = own + entries[rank].place * stride;
      item[1] = logs[static_cast<std::size_t>(rank)];
      item[2] = static_cast<float>(1.0 / static_cast<double>(rank + 1));
    }
  }
}

}  // namespace shortlist::lists
