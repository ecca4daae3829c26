#include "walk.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "codes.hpp"

namespace shortlist::leaves {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr int kChosenTogether = 8;  // queries whose scores of the centroids are held at a time

// A query's length in the unit of its codes, whose squares no query can make overflow.
float length_of(const float* query, std::int64_t dim, float unit) {
  const float inverse = 1.0f / unit;
  float sum = 0;
  for (std::int64_t j = 0; j < dim; ++j) sum += (query[j] * inverse) * (query[j] * inverse);
  return std::sqrt(sum);
}

Run slice(const Run& whole, std::int64_t block, std::int64_t blocks) {
  Run run = whole;
  run.codes += block * kBlock * whole.stride;
  run.scale += block * kBlock;
  if (run.bias != nullptr) run.bias += block * kBlock;
  if (run.allowed != nullptr) run.allowed += block;
  run.blocks = blocks;
  return run;
}

void ask_for(const Part& part, std::uint32_t leaf) {
  constexpr std::int64_t kLine = 64, kMost = 32768;  // all of a usual leaf, into the second cache
  const std::int64_t begin = part.begins[leaf], rows = (part.begins[leaf + 1] - begin) * kBlock;
  const std::int64_t bytes = std::min(rows * part.run.stride, kMost);
  const std::uint8_t* codes = part.run.codes + begin * kBlock * part.run.stride;
  for (std::int64_t i = 0; i < bytes; i += kLine) __builtin_prefetch(codes + i, 0, 2);
  const float* scale = part.run.scale + begin * kBlock;
  for (std::int64_t i = 0; i < rows; i += kLine / 4) __builtin_prefetch(scale + i);
}

}  // namespace

Walk::Walk(const Search& job) : job_(job), table_(kernels()), exact_(shortlist::kernels()) {
  std::uint32_t first = 0;
  for (const Part& part : job.parts) {
    firsts_.push_back(first);
    first += static_cast<std::uint32_t>(part.run.blocks * kBlock);
  }
}

void Walk::search(std::int64_t first, std::int64_t count, float effort, std::int64_t* labels, float* scores) {
  begin(first, count);
  for (std::size_t p = 0; p < job_.parts.size(); ++p) {
    const Part& part = job_.parts[p];
    if (part.leaves == 0) {
      everyone_.resize(static_cast<std::size_t>(count));
      for (std::int64_t q = 0; q < count; ++q) everyone_[static_cast<std::size_t>(q)] = static_cast<std::uint32_t>(q);
      look(part, p, 0, part.run.blocks, everyone_.data(), count);
    } else {
      choose_leaves(part, effort);
      visit_leaves(part, p);
    }
  }
  for (std::int64_t q = 0; q < count; ++q) {
    const std::int64_t at = (first + q) * job_.k;
    const std::int64_t found = finish(q, labels + at, scores + at);
    short_of_.push_back(found < job_.k);
  }
}

void Walk::begin(std::int64_t first, std::int64_t count) {
  first_ = first;
  count_ = count;
  short_of_.clear();
  const std::int64_t dim = job_.parts.front().dim, stride = code_stride(dim);
  codes_.resize(static_cast<std::size_t>(count * stride));
  queries_.resize(static_cast<std::size_t>(count));
  centroid_queries_.resize(static_cast<std::size_t>(count));
  units_.resize(static_cast<std::size_t>(count));
  lengths_.resize(static_cast<std::size_t>(count));
  if (candidates_.size() < static_cast<std::size_t>(count)) candidates_.resize(static_cast<std::size_t>(count));
  if (job_.excluded_offsets != nullptr) excluded_.resize(static_cast<std::size_t>(count));
  relative_.resize(static_cast<std::size_t>(dim));
  for (std::int64_t q = 0; q < count; ++q) {
    code(q);
    candidates_[static_cast<std::size_t>(q)].reset(job_.keep);
    if (job_.excluded_offsets == nullptr) continue;
    const std::int64_t* offsets = job_.excluded_offsets + first + q;
    std::vector<std::int64_t>& excluded = excluded_[static_cast<std::size_t>(q)];
    excluded.assign(job_.excluded + offsets[0], job_.excluded + offsets[1]);
    std::sort(excluded.begin(), excluded.end());
  }
}

// The rows' codes are relative to the origin. An inner product with the origin is the same for all rows; a distance
// is that of the query relative to the origin, too.
void Walk::code(std::int64_t q) {
  const auto i = static_cast<std::size_t>(q);
  const std::int64_t dim = job_.parts.front().dim;
  const float* query = job_.queries + (first_ + q) * dim;
  if (job_.metric == Metric::kL2) {
    for (std::int64_t j = 0; j < dim; ++j)
      relative_[static_cast<std::size_t>(j)] = query[j] - job_.parts.front().origin[j];
    query = relative_.data();
  }
  units_[i] = code_query(query, dim, table_.query_range, codes_.data() + q * code_stride(dim), &queries_[i]);
  lengths_[i] = length_of(query, dim, units_[i]);
  // A distance is |q|^2 - 2 q.v + |v|^2: the rows' bias is -|v|^2 / 2, and |q|^2 changes no order.
  queries_[i].weight = 1.0f / units_[i];
  centroid_queries_[i] = queries_[i];
}

void Walk::choose_leaves(const Part& part, float effort) {
  visits_.clear();
  const std::int64_t width = part.centroids.blocks * kBlock;
  expected_.resize(static_cast<std::size_t>(std::min<std::int64_t>(kChosenTogether, count_) * width));
  if (job_.metric == Metric::kDot)
    for (std::int64_t q = 0; q < count_; ++q)
      centroid_queries_[static_cast<std::size_t>(q)].weight = part.reach * lengths_[static_cast<std::size_t>(q)];
  for (std::int64_t q = 0; q < count_; q += kChosenTogether) {
    const int together = static_cast<int>(std::min<std::int64_t>(kChosenTogether, count_ - q));
    table_.scores(part.centroids, centroid_queries_.data() + q, together, expected_.data(), width);
    for (int i = 0; i < together; ++i) {
      float* expected = expected_.data() + i * width;
      if (job_.metric == Metric::kL2) expect_near(part, static_cast<std::size_t>(q + i), expected);
      const float wanted = effort_with_exclusions(effort, q + i);
      for (const std::uint32_t leaf : chooser_.choose(table_, expected, part.sizes, part.leaves, wanted))
        visits_.push_back({leaf, static_cast<std::uint32_t>(q + i)});
    }
  }
}

void Walk::expect_near(const Part& part, std::size_t q, float* expected) const {
  const float variance = std::max(static_cast<float>(part.dim) - part.reach * part.reach, 0.0f);
  const float square = lengths_[q] * lengths_[q] * units_[q];
  table_.expect_near(expected, part.spreads, part.leaves, {square, units_[q], part.reach, variance});
}

// What is excluded is mostly what would have been found, so the search goes as deep as for that many more.
float Walk::effort_with_exclusions(float effort, std::int64_t q) const {
  if (job_.excluded_offsets == nullptr) return effort;
  const auto k = static_cast<float>(job_.k), more = static_cast<float>(excluded_[static_cast<std::size_t>(q)].size());
  return effort * std::pow((k + more) / k, 0.7f) + more;
}

// Leaf by leaf, each with all the queries that chose it, so that its codes are read once from far away.
void Walk::visit_leaves(const Part& part, std::size_t p) {
  if (count_ == 1) return visit_alone(part, p);
  starts_.assign(static_cast<std::size_t>(part.leaves) + 1, 0);
  for (const Visit& visit : visits_) ++starts_[visit.leaf + 1];
  for (std::size_t leaf = 1; leaf < starts_.size(); ++leaf) starts_[leaf] += starts_[leaf - 1];
  by_leaf_.resize(visits_.size());
  ends_.assign(starts_.begin(), starts_.end() - 1);
  for (const Visit& visit : visits_) by_leaf_[ends_[visit.leaf]++] = visit.query;
  for (std::int64_t leaf = 0; leaf < part.leaves; ++leaf) {
    const std::uint32_t start = starts_[static_cast<std::size_t>(leaf)];
    const std::uint32_t end = starts_[static_cast<std::size_t>(leaf) + 1];
    if (start < end) look(part, p, part.begins[leaf], part.begins[leaf + 1], by_leaf_.data() + start, end - start);
  }
}

// One query waits for memory more than it computes, so the next leaf is asked for before this one is read.
void Walk::visit_alone(const Part& part, std::size_t p) {
  std::sort(visits_.begin(), visits_.end(), [](const Visit& a, const Visit& b) { return a.leaf < b.leaf; });
  const std::uint32_t only = 0;
  for (std::size_t v = 0; v < visits_.size(); ++v) {
    if (v + 1 < visits_.size()) ask_for(part, visits_[v + 1].leaf);
    look(part, p, part.begins[visits_[v].leaf], part.begins[visits_[v].leaf + 1], &only, 1);
  }
}

void Walk::look(const Part& part, std::size_t p, std::int64_t begin, std::int64_t end, const std::uint32_t* queries,
          std::int64_t count) {
  const Query* coded[kTile];
  Hits* hits[kTile];
  for (std::int64_t q = 0; q < count; q += kTile) {
    const int tile = static_cast<int>(std::min<std::int64_t>(kTile, count - q));
    for (int i = 0; i < tile; ++i) {
      coded[i] = &queries_[queries[q + i]];
      hits[i] = &candidates_[queries[q + i]].hits();
    }
    for (std::int64_t block = begin; block < end; block += kRunBlocks) {
      const Run run = slice(part.run, block, std::min<std::int64_t>(kRunBlocks, end - block));
      table_.hits(run, firsts_[p] + static_cast<std::uint32_t>(block * kBlock), coded, hits, tile);
      for (int i = 0; i < tile; ++i)
        if (candidates_[queries[q + i]].full()) settle(queries[q + i]);
    }
  }
}

void Walk::settle(std::uint32_t q) {
  Candidates& candidates = candidates_[q];
  if (job_.excluded_offsets != nullptr && !excluded_[q].empty())
    candidates.filter([&](std::uint32_t place) {
      return std::binary_search(excluded_[q].begin(), excluded_[q].end(), label_of(place));
    });
  candidates.settle(table_);
}

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
  for (std::int64_t j = 0; j < part.dim; ++j) shared += static_cast<double>(query[j]) * part.origin[j];
  return shared;
}

}  // namespace shortlist::leaves
