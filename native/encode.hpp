// Floats to codes: what all instruction sets share. Each brings the two loops over a row.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels.hpp"

namespace shortlist {

// Scales below this would overflow when inverted; rows that small are coded as zeros and scored exactly.
constexpr float kLeastScale = 1e-30f;

// What coding a row lost and what it kept: sums of squares in units of the scale, in float, in any order.
struct RowSums {
  float lost;
  float kept;
};

// The bits of the largest magnitude: without their sign, bits are ordered like magnitudes, NaN above infinity.
using LargestMagnitude = std::uint32_t (*)(const float* row, std::int64_t dim);
using EncodeRow = RowSums (*)(const float* row, std::int64_t dim, float inverse_scale, std::uint8_t* codes);

template <LargestMagnitude largest_magnitude, EncodeRow encode_row>
bool encode_rows(const float* const* rows, int count, std::int64_t dim, std::uint8_t* codes, BlockStats* stats) {
  std::uint32_t most = 0;
  for (int r = 0; r < count; ++r) most = std::max(most, largest_magnitude(rows[r], dim));
  if (most >= 0x7f800000u) return false;
  const float scale = std::max(std::bit_cast<float>(most) / 127.0f, kLeastScale);

  const std::int64_t stride = code_stride(dim);
  float lost = 0, kept = 0;
  for (int r = 0; r < count; ++r) {
    const RowSums sums = encode_row(rows[r], dim, 1.0f / scale, codes + r * stride);
    std::fill(codes + r * stride + dim, codes + (r + 1) * stride, std::uint8_t{128});
    lost = std::max(lost, sums.lost);
    kept = std::max(kept, sums.kept);
  }
  std::fill(codes + count * stride, codes + kBlockRows * stride, std::uint8_t{128});
  // The float product before the rounding is off by less than 127 * 2^-22 a value, and a float sum of `dim`
  // squares by less than dim * 2^-23 of itself.
  const double width = static_cast<double>(dim), sum_error = 1.0 + 0x1p-23 * (width + 8);
  stats->scale = scale;
  stats->residual = std::sqrt(lost * sum_error) + 127 * 0x1p-22 * std::sqrt(width);
  stats->norm = std::sqrt(kept * sum_error);
  return true;
}

// The two loops in plain C++, also for what a row has left beyond whole registers.
inline std::uint32_t plain_largest_magnitude(const float* row, std::int64_t dim) {
  std::uint32_t most = 0;
  for (std::int64_t j = 0; j < dim; ++j) most = std::max(most, std::bit_cast<std::uint32_t>(row[j]) & 0x7fffffffu);
  return most;
}

inline RowSums plain_encode_row(const float* row, std::int64_t dim, float inverse_scale, std::uint8_t* codes) {
  RowSums sums = {0, 0};
  for (std::int64_t j = 0; j < dim; ++j) {
    const float exact = row[j] * inverse_scale, rounded = std::nearbyint(exact);
    codes[j] = static_cast<std::uint8_t>(static_cast<std::int32_t>(rounded) + 128);
    sums.lost += (exact - rounded) * (exact - rounded);
    sums.kept += rounded * rounded;
  }
  return sums;
}

}  // namespace shortlist
