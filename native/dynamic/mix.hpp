// Numbers that depend on an id alone: its place in a hash table, its shared row, the values its row starts with.
#pragma once

#include <cstdint>

namespace shortlist::dynamic {

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio

// One number of SplitMix64 (Steele, Lea & Flood 2014): a bijection of 64 bits in which every bit depends on all.
inline std::uint64_t mix(std::uint64_t x) {
  x += kGolden;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// What all numbers drawn for an id start from.
inline std::uint64_t stream_of(std::uint64_t seed, std::int64_t id) {
  return mix(mix(seed) ^ static_cast<std::uint64_t>(id));
}

// The shared row of an id. Shared rows draw from another stream than ids that are called like their numbers.
inline std::int64_t shared_of(std::uint64_t seed, std::int64_t id, std::int64_t shared_rows) {
  return static_cast<std::int64_t>(stream_of(~seed, id) % static_cast<std::uint64_t>(shared_rows));
}

// The values of a new row, of mean 0 and standard deviation `scale`: each is the sum of four uniform numbers, which
// is close to normal, ends at 3.5 deviations, and has the same bits on every processor.
inline void initial_values(std::uint64_t stream, float scale, std::int64_t dim, float* values) {
  constexpr float kUnit = 1.7320508f / 65536;  // of a sum of four 16-bit numbers
  const float unit = scale * kUnit;
  for (std::int64_t j = 0; j < dim; ++j) {
    const std::uint64_t bits = mix(stream + static_cast<std::uint64_t>(j) * kGolden);
    const auto sum = static_cast<std::int32_t>((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) +
                                               (bits >> 48));
    values[j] = unit * static_cast<float>(sum - 2 * 0xffff);
  }
}

}  // namespace shortlist::dynamic
