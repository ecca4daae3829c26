#include "choose.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace shortlist::leaves {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

float mean_of_some(const float* values, std::int64_t count) {
  const std::int64_t step = std::max<std::int64_t>(count / 128, 1);
  float sum = 0;
  std::int64_t taken = 0;
  for (std::int64_t i = 0; i < count; i += step)
    if (values[i] == values[i] && values[i] > kLowest) sum += values[i], ++taken;
  return taken == 0 ? 0.0f : sum / static_cast<float>(taken);
}

}  // namespace

const std::vector<std::uint32_t>& Chooser::choose(const Kernels& table, const float* expected, const float* sizes,
                                                  std::int64_t leaves, float effort) {
  chosen_.clear();
  places_.resize(static_cast<std::size_t>(leaves) + 16);
  reached_.resize(static_cast<std::size_t>(leaves) + 16);
  weights_.resize(static_cast<std::size_t>(leaves) + 16);
  most_ = table.highest(expected, leaves);
  const float below = std::max(most_ - mean_of_some(expected, leaves), 1e-6f * std::max(std::abs(most_), 1e-30f));
  // Leaves that reach a guessed threshold; lower guesses until they hold enough.
  for (float depth = depth_;; depth *= 1.5f) {
    least_ = depth <= 64 ? most_ - depth * below : kLowest;
    found_ = table.reaching(expected, leaves, least_, places_.data(), reached_.data());
    for (std::int64_t i = 0; i < found_; ++i) weights_[i] = sizes[places_[i]];
    if (table.sum_reaching(reached_.data(), weights_.data(), found_, least_) >= effort) break;
    if (least_ == kLowest) {  // all there are
      chosen_.assign(places_.begin(), places_.begin() + found_);
      return chosen_;
    }
  }
  cut(table, effort);
  const float went = 1.25f * (most_ - least_) / below;
  if (went <= 64) depth_ += 0.1f * (went - depth_);  // not where scores overflowed
  return chosen_;
}

// Keeps the shortest run of the found leaves, best first, that holds `effort` rows. A bisection leaves a few
// at the edge, which are sorted.
void Chooser::cut(const Kernels& table, float effort) {
  float low = least_, high = most_;
  std::int64_t between = found_;
  for (int step = 0; step < 24 && between > 8; ++step) {
    const float middle = 0.5f * (low + high);
    if (!(middle > low && middle < high)) break;
    const bool enough = table.sum_reaching(reached_.data(), weights_.data(), found_, middle) >= effort;
    (enough ? low : high) = middle;
    between = table.count_reaching(reached_.data(), found_, low) - table.count_reaching(reached_.data(), found_, high);
  }
  // Written whether or not they count: which leaves do is no pattern that a processor could guess.
  const float certain = high < most_ ? high : std::numeric_limits<float>::infinity();
  chosen_.resize(static_cast<std::size_t>(found_));
  edge_.resize(static_cast<std::size_t>(found_));
  std::size_t chosen = 0, edge = 0;
  float total = 0;
  for (std::int64_t i = 0; i < found_; ++i) {
    const bool is_chosen = reached_[i] >= certain, is_edge = !is_chosen & (reached_[i] >= low);
    chosen_[chosen] = places_[i];
    chosen += is_chosen;
    total += is_chosen ? weights_[i] : 0.0f;
    edge_[edge] = static_cast<std::uint32_t>(i);
    edge += is_edge;
  }
  chosen_.resize(chosen);
  edge_.resize(edge);
  std::sort(edge_.begin(), edge_.end(), [&](std::uint32_t a, std::uint32_t b) {
    return reached_[a] != reached_[b] ? reached_[a] > reached_[b] : places_[a] < places_[b];
  });
  for (const std::uint32_t i : edge_) {
    if (total >= effort) break;
    chosen_.push_back(places_[i]);
    total += weights_[i];
    least_ = reached_[i];
  }
}

}  // namespace shortlist::leaves
