#include "collector.hpp"

#include <algorithm>
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
  marked_.fill(0);
  for (const std::int64_t label : excluded) marked_[label >> 6 & 63] |= std::uint64_t{1} << (label & 63);
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
  if (is_excluded(candidate.label)) return false;
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
  const std::span<const Candidate> sorted = sorter_.sorted(candidates_);
  return sorted.first(std::min(k_, sorted.size()));
}

// Most scores differ in single precision already; those that do not are compared.
std::span<const Candidate> CandidateSorter::sorted(std::span<const Candidate> candidates) {
  std::vector<Entry>& entries = keys_.entries();
  entries.resize(candidates.size());
  for (std::size_t i = 0; i < entries.size(); ++i)
    entries[i] = {falling_bits(static_cast<float>(candidates[i].lower)), static_cast<std::uint32_t>(i)};
  keys_.sort();
  sorted_.clear();
  sorted_.reserve(entries.size());
  for (const Entry& entry : entries) sorted_.push_back(candidates[entry.place]);
  for (std::size_t first = 0, last = 0; first < entries.size(); first = last) {
    while (last < entries.size() && entries[last].key == entries[first].key) ++last;
    if (last > first + 1)
      std::sort(sorted_.begin() + static_cast<std::ptrdiff_t>(first),
                sorted_.begin() + static_cast<std::ptrdiff_t>(last), better);
  }
  return sorted_;
}

void write_best(std::span<const Candidate> sorted, std::int64_t k, std::int64_t* labels, double* scores) {
  const auto kept = static_cast<std::int64_t>(std::min(sorted.size(), static_cast<std::size_t>(k)));
  for (std::int64_t rank = 0; rank < kept; ++rank) {
    labels[rank] = sorted[static_cast<std::size_t>(rank)].label;
    scores[rank] = sorted[static_cast<std::size_t>(rank)].lower;
  }
  std::fill(labels + kept, labels + k, -1);
  std::fill(scores + kept, scores + k, -std::numeric_limits<double>::infinity());
}

bool Collector::is_excluded(std::int64_t label) const {
  if (!(marked_[label >> 6 & 63] >> (label & 63) & 1)) return false;
  return std::binary_search(excluded_.begin(), excluded_.end(), label);
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
    raise(kth_largest(lowers_, k_));
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
