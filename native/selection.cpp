#include "selection.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

namespace shortlist {
namespace {

constexpr std::size_t kFew = 64;  // below, comparing is quicker
constexpr int kDigits = 4;
constexpr std::size_t kValues = 256;
constexpr std::size_t kBuckets = 1024;

std::uint32_t digit_of(const Entry& entry, int digit) { return entry.key >> (8 * digit) & 0xFF; }

double by_comparison(std::vector<double>& values, std::size_t k) {
  const auto kth = values.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::nth_element(values.begin(), kth, values.end(), std::greater<>());
  return *kth;
}

}  // namespace

void KeySorter::sort() {
  const auto rising = [](const Entry& a, const Entry& b) { return a.key < b.key; };
  if (std::is_sorted(entries_.begin(), entries_.end(), rising)) return;
  if (entries_.size() < kFew) {
    std::stable_sort(entries_.begin(), entries_.end(), rising);
  } else {
    by_digits();
  }
}

// From the lowest byte to the highest.
void KeySorter::by_digits() {
  std::array<std::array<std::uint32_t, kValues>, kDigits> counts{};
  for (const Entry& entry : entries_)
    for (int digit = 0; digit < kDigits; ++digit) ++counts[digit][digit_of(entry, digit)];
  other_.resize(entries_.size());
  for (int digit = 0; digit < kDigits; ++digit) {
    auto& starts = counts[digit];
    if (starts[digit_of(entries_[0], digit)] == entries_.size()) continue;  // all have the same one
    std::uint32_t before = 0;
    for (std::uint32_t& start : starts) before += std::exchange(start, before);
    for (const Entry& entry : entries_) other_[starts[digit_of(entry, digit)]++] = entry;
    entries_.swap(other_);
  }
}

// Counts the numbers by equal steps from the least to the largest, and compares those of one step alone.
double kth_largest(std::vector<double>& values, std::size_t k) {
  if (values.size() < kFew) return by_comparison(values, k);
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const double low = *least, scale = (kBuckets - 1) / (*most - low);
  if (!std::isfinite(low) || !std::isfinite(*most) || !std::isfinite(scale)) return by_comparison(values, k);
  const auto bucket_of = [&](double value) {
    const double place = (value - low) * scale;
    return place < kBuckets ? static_cast<std::size_t>(place) : 0;  // NaN, of which no more is promised
  };
  std::array<std::uint32_t, kBuckets> counts{};
  for (const double value : values) ++counts[bucket_of(value)];
  std::size_t bucket = kBuckets, above = 0;
  while (above + counts[--bucket] < k) above += counts[bucket];
  std::vector<double> near;
  near.reserve(counts[bucket]);
  for (const double value : values)
    if (bucket_of(value) == bucket) near.push_back(value);
  return by_comparison(near, k - above);
}

}  // namespace shortlist
