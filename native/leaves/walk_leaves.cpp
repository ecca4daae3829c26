#include <algorithm>
#include <cmath>
#include <iterator>

#include "walk.hpp"

namespace shortlist::leaves {
namespace {

constexpr int kChosenTogether = 8;  // queries whose scores of the centroids are held at a time
// Where centroids are cut, leaves that hold so many times the rows wanted, and some more, are scored in full.
constexpr float kWiden = 2.5f, kWidenBy = 2000.0f;
constexpr std::int64_t kBestFirst = 8;  // leaves that a query alone visits in their order

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

void Walk::choose_leaves(const Part& part, float effort) {
  visits_.clear();
  best_visits_.clear();
  const std::int64_t width = part.centroids.blocks * kBlock;
  expected_.resize(static_cast<std::size_t>(std::min<std::int64_t>(kChosenTogether, count_) * width));
  centroid_queries_ = part.centroids.rest == nullptr ? queries_ : cut_queries_;
  if (job_.metric == Metric::kDot)
    for (std::int64_t q = 0; q < count_; ++q)
      centroid_queries_[static_cast<std::size_t>(q)].weight = part.reach * lengths_[static_cast<std::size_t>(q)];
  for (std::int64_t q = 0; q < count_; q += kChosenTogether) {
    const int together = static_cast<int>(std::min<std::int64_t>(kChosenTogether, count_ - q));
    table_.scores(part.centroids, centroid_queries_.data() + q, together, expected_.data(), width);
    for (int i = 0; i < together; ++i) {
      const float wanted = effort_with_exclusions(effort, q + i);
      choose(part, static_cast<std::uint32_t>(q + i), expected_.data() + i * width, wanted);
    }
  }
}

void Walk::choose(const Part& part, std::uint32_t q, float* expected, float wanted) {
  if (part.centroids.rest != nullptr) return choose_by_heads(part, q, expected, wanted);
  if (job_.metric == Metric::kL2) expect_near(part, q, part.spreads, part.leaves, expected);
  for (const std::uint32_t leaf : chooser_.choose(table_, expected, part.sizes, part.leaves, wanted))
    visits_.push_back({leaf, q, 0.0f});
}

// Two steps: the leaves that are likely by the heads of their centroids, and of these the best by the whole.
void Walk::choose_by_heads(const Part& part, std::uint32_t q, const float* heads, float wanted) {
  const bool near = job_.metric == Metric::kL2;
  const float* expected = heads;
  if (near) {
    near_.assign(heads, heads + part.leaves);
    expect_near(part, q, part.spreads, part.leaves, near_.data());
    expected = near_.data();
  }
  likely_ = chooser_.choose(table_, expected, part.sizes, part.leaves, kWiden * wanted + kWidenBy);
  const std::size_t count = likely_.size();
  whole_.resize(count), rest_.resize(count), sizes_.resize(count), spreads_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    whole_[i] = heads[likely_[i]];
    sizes_[i] = part.sizes[likely_[i]];
    spreads_[i] = part.spreads[likely_[i]];
  }
  const auto leaves = static_cast<std::int64_t>(count);
  if (count_ == 1) ask_for_rest(part.centroids, 0, likely_.data(), leaves);
  table_.complete(part.centroids, 0, centroid_queries_[q], likely_.data(), leaves, whole_.data());
  for (std::size_t i = 0; i < count; ++i) rest_[i] = whole_[i] - heads[likely_[i]];
  if (near) expect_near(part, q, spreads_.data(), leaves, whole_.data());
  picked_ = second_chooser_.choose(table_, whole_.data(), sizes_.data(), leaves, wanted);
  // The best raise the threshold, so that less of the others is read.
  const std::int64_t ahead = std::min(count_ == 1 ? kBestFirst : 1, std::ssize(picked_));
  std::partial_sort(picked_.begin(), picked_.begin() + ahead, picked_.end(),
                    [&](std::uint32_t a, std::uint32_t b) { return whole_[a] > whole_[b]; });
  for (std::size_t i = 0; i < picked_.size(); ++i)
    (i == 0 && count_ > 1 ? best_visits_ : visits_).push_back({likely_[picked_[i]], q, rest_[picked_[i]]});
}

void Walk::expect_near(const Part& part, std::size_t q, const float* spreads, std::int64_t leaves,
                       float* expected) const {
  const float variance = std::max(static_cast<float>(dim_) - part.reach * part.reach, 0.0f);
  const float square = lengths_[q] * lengths_[q] * units_[q];
  table_.expect_near(expected, spreads, leaves, {square, units_[q], part.reach, variance});
}

// What is excluded is mostly what would have been found, so the search goes as deep as for that many more.
float Walk::effort_with_exclusions(float effort, std::int64_t q) const {
  if (job_.excluded_offsets == nullptr) return effort;
  const auto k = static_cast<float>(job_.k), more = static_cast<float>(excluded_[static_cast<std::size_t>(q)].size());
  return effort * std::pow((k + more) / k, 0.7f) + more;
}

// Leaf by leaf, each with all the queries that chose it, so that its codes are read once from far away.
void Walk::visit_leaves(const Part& part, std::size_t p, const std::vector<Visit>& visits) {
  starts_.assign(static_cast<std::size_t>(part.leaves) + 1, 0);
  for (const Visit& visit : visits) ++starts_[visit.leaf + 1];
  for (std::size_t leaf = 1; leaf < starts_.size(); ++leaf) starts_[leaf] += starts_[leaf - 1];
  by_leaf_.resize(visits.size());
  ends_.assign(starts_.begin(), starts_.end() - 1);
  for (const Visit& visit : visits) by_leaf_[ends_[visit.leaf]++] = visit;
  for (std::int64_t leaf = 0; leaf < part.leaves; ++leaf) {
    const std::uint32_t start = starts_[static_cast<std::size_t>(leaf)];
    const std::uint32_t end = starts_[static_cast<std::size_t>(leaf) + 1];
    if (start < end) look(part, p, part.begins[leaf], part.begins[leaf + 1], by_leaf_.data() + start, end - start);
  }
}

// One query waits for memory more than it computes, so the next leaf is asked for before this one is read.
void Walk::visit_alone(const Part& part, std::size_t p) {
  if (part.run.rest == nullptr)
    std::sort(visits_.begin(), visits_.end(), [](const Visit& a, const Visit& b) { return a.leaf < b.leaf; });
  for (std::size_t v = 0; v < visits_.size(); ++v) {
    if (v + 1 < visits_.size()) ask_for(part, visits_[v + 1].leaf);
    const std::uint32_t leaf = visits_[v].leaf;
    look(part, p, part.begins[leaf], part.begins[leaf + 1], &visits_[v], 1);
  }
}

}  // namespace shortlist::leaves
