#include <algorithm>
#include <limits>

#include "walk.hpp"

namespace shortlist::leaves {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

}  // namespace

std::size_t Walk::part_of(std::uint32_t place) const {
  std::size_t p = firsts_.size() - 1;
  while (place < firsts_[p]) --p;
  return p;
}

std::int64_t Walk::label_of(std::uint32_t place) const {
  const std::size_t p = part_of(place);
  const Part& part = job_.parts[p];
  const std::uint32_t row = part.order[place - firsts_[p]];
  return part.labels == nullptr ? row : part.labels[row];
}

// Scores the rows that are left again, from floats where there are any. Returns how many there are.
std::int64_t Walk::finish(std::int64_t q, std::int64_t* labels, float* scores) {
  const auto i = static_cast<std::size_t>(q);
  settle(static_cast<std::uint32_t>(q));
  const Hits& hits = candidates_[i].hits();
  const std::int64_t dim = job_.parts.front().dim;
  const float* query = job_.queries + (first_ + q) * dim;
  rows_.resize(static_cast<std::size_t>(hits.count));
  found_.resize(static_cast<std::size_t>(hits.count));
  for (std::int32_t h = 0; h < hits.count; ++h) {
    const auto at = static_cast<std::size_t>(h);
    const std::size_t p = part_of(hits.places[h]);
    const Part& part = job_.parts[p];
    const std::uint32_t row = part.order[hits.places[h] - firsts_[p]];
    found_[at].label = part.labels == nullptr ? row : part.labels[row];
    rows_[at] = part.rows == nullptr ? nullptr : part.rows + static_cast<std::int64_t>(row) * dim;
    if (rows_[at] != nullptr)
      for (std::int64_t j = 0; j < dim; j += 16) __builtin_prefetch(rows_[at] + j);
  }
  const bool estimated = std::find(rows_.begin(), rows_.end(), nullptr) != rows_.end();
  const double shared = estimated ? shared_score(i, query) : 0.0;
  const double unit = (job_.metric == Metric::kL2 ? 2.0 : 1.0) * units_[i];
  for (std::int32_t h = 0; h < hits.count; ++h) {
    const auto at = static_cast<std::size_t>(h);
    found_[at].score = static_cast<float>(rows_[at] == nullptr
                                              ? shared + unit * hits.scores[h]
                                              : exact_score(exact_, job_.metric, query, rows_[at], dim));
  }
  const auto better = [](const Found& a, const Found& b) {
    return a.score != b.score ? a.score > b.score : a.label < b.label;
  };
  const std::int64_t kept = std::min<std::int64_t>(job_.k, hits.count);
  std::partial_sort(found_.begin(), found_.begin() + kept, found_.end(), better);
  for (std::int64_t rank = 0; rank < kept; ++rank) {
    labels[rank] = found_[static_cast<std::size_t>(rank)].label;
    scores[rank] = found_[static_cast<std::size_t>(rank)].score;
  }
  std::fill(labels + kept, labels + job_.k, -1);
  std::fill(scores + kept, scores + job_.k, kLowest);
  return kept;
}

// What the scores of a query's rows have in common and the codes do not say. In double: both terms of a distance
// may be beyond floats.
double Walk::shared_score(std::size_t q, const float* query) const {
  const double length = static_cast<double>(lengths_[q]) * units_[q];
  if (job_.metric == Metric::kL2) return -length * length;
  const Part& part = job_.parts.front();
  double shared = 0;
  for (std::int64_t j = 0; j < part.dim; ++j) shared += static_cast<double>(query[j]) * part.frame.origin[j];
  return shared;
}

}  // namespace shortlist::leaves
