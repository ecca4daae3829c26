// Picking and sorting numbers without comparing them pair by pair, for lists too long for a heap and too short to care
// about memory.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace shortlist {

// A number's bits as one that is the smaller, the larger the number is. -0 counts as 0; NaN comes last.
inline std::uint32_t falling_bits(float value) {
  if (value != value) return 0xFFFFFFFFu;
  const auto bits = std::bit_cast<std::uint32_t>(value + 0.0f);
  return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

// A sort key and where what it belongs to lies.
struct Entry {
  std::uint32_t key;
  std::uint32_t place;
};

// Sorts entries by rising key; equal keys keep their order. Keeps its memory.
class KeySorter {
 public:
  std::vector<Entry>& entries() { return entries_; }
  void sort();

 private:
  void by_digits();

  std::vector<Entry> entries_, other_;
};

// The k-th largest of some finite numbers, k from 1; their order changes.
double kth_largest(std::vector<double>& values, std::size_t k);

}  // namespace shortlist
