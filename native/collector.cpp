#include "collector.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace shortlist {
namespace {

// Candidates beyond k before the intervals are compared, at least: fewer make the threshold rise sooner, more
// make the comparisons rarer. The intervals of Gaussian vectors hold about k / 2 rows more than they should, so
// for a larger k there is room for 2 k.
constexpr std::size_t kSlack = 256;

}  // namespace

void Collector::reset(const Kernels& table, Metric metric, const float* query, std::int64_t dim, std::int64_t k,
                      std::span<const std::int64_t> excluded, std::atomic<double>* shared) {
  table_ = &table;
  metric_ = metric;
  query_ = query;
  dim_ = dim;
  k_ = static_cast<std::size_t>(k);
  capacity_ = k_ + std::max(2 * k_, kSlack);
  threshold_ = -std::numeric_limits<double>::infinity();
  excluded_ = excluded;
  shared_ = shared;
  candidates_.clear();
}

bool Collector::refresh() {
  const double known = shared_->load(std::memory_order_relaxed);
  if (!(known > threshold_)) return false;
  threshold_ = known;
  return true;
}

bool Collector::offer(const Candidate& candidate) {
  if (candidate.upper < threshold_) return false;
  if (std::binary_search(excluded_.begin(), excluded_.end(), candidate.label)) return false;
  candidates_.push_back(candidate);
  return candidates_.size() >= capacity_ && compact();
}

void Collector::absorb(Collector& other) {
  candidates_.insert(candidates_.end(), other.candidates_.begin(), other.candidates_.end());
  other.candidates_.clear();
}

std::span<const Candidate> Collector::finish() {
  refresh();
  prune();
  score_all();
  const std::size_t kept = std::min(k_, candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(kept), candidates_.end(),
                    better);
  return {candidates_.data(), kept};
}

bool Collector::compact() {
  const double before = threshold_;
  refresh();
  prune();
  // Where the intervals overlap too much to thin the candidates out, the scores themselves must decide; half
  // of the room is free afterwards, so this too happens only once for many rows.
  if (candidates_.size() > k_ + (capacity_ - k_) / 2) {
    score_all();
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k_ - 1),
                     candidates_.end(), better);
    candidates_.resize(k_);
    raise(candidates_[k_ - 1].lower);
  }
  return threshold_ > before;
}

void Collector::prune() {
  if (candidates_.size() > k_) {
    lowers_.resize(candidates_.size());
    std::transform(candidates_.begin(), candidates_.end(), lowers_.begin(), [](const Candidate& c) { return c.lower; });
    const auto kth = lowers_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(lowers_.begin(), kth, lowers_.end(), std::greater<>());
    raise(*kth);
  }
  std::erase_if(candidates_, [this](const Candidate& c) { return c.upper < threshold_; });
}

void Collector::score_all() {
  // The rows lie anywhere in memory: asking for all of them first overlaps the waits.
  for (const Candidate& c : candidates_)
    if (c.row != nullptr)
      for (std::int64_t j = 0; j < std::min<std::int64_t>(dim_, 64); j += 16) __builtin_prefetch(c.row + j);
  for (Candidate& c : candidates_) {
    if (c.row == nullptr) continue;
    c.lower = c.upper = exact_score(*table_, metric_, query_, c.row, dim_);
    c.row = nullptr;
  }
}

void Collector::raise(double threshold) {
  if (!(threshold > threshold_)) return;
  threshold_ = threshold;
  double known = shared_->load(std::memory_order_relaxed);
  while (known < threshold && !shared_->compare_exchange_weak(known, threshold, std::memory_order_relaxed)) {
  }
}

}  // namespace shortlist
