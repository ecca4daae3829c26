// The random numbers of stochastic rounding: a function of seed, step, row and column, and of nothing that happened
// before. `kernels/rounding.py` has the same function for other devices.
#pragma once

#include <cstdint>

namespace shortlist::tables {

// S. Vigna's splitmix64.
inline std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

inline std::uint64_t step_noise(std::uint64_t seed, std::uint64_t step) { return mixed(mixed(seed) + step); }

// The key of a row for `RowKernels::narrow`. `array` is 0 for the weights, 1 and 2 for the state.
inline std::uint32_t row_key(std::uint64_t noise, std::int64_t row, int array) {
  return static_cast<std::uint32_t>(mixed(noise ^ (static_cast<std::uint64_t>(row) << 2 | array)) >> 32);
}

}  // namespace shortlist::tables
