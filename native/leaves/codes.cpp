#include "codes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../threads.hpp"

namespace shortlist::leaves {
namespace {

constexpr float kLeastScale = 1e-30f;  // the inverse of less could overflow; rows that small are coded as zeros

float largest_magnitude(const float* row, std::int64_t dim) {
  float most = 0;
  for (std::int64_t j = 0; j < dim; ++j) most = std::max(most, std::fabs(row[j]));
  return most;
}

float largest_beyond(const float* row, const float* origin, std::int64_t dim) {
  float most = 0;
  for (std::int64_t j = 0; j < dim; ++j) most = std::max(most, std::fabs(row[j] - origin[j]));
  return most;
}

// Nearest whole number by the float format's own rounding; for magnitudes below 2^22.
inline std::int32_t nearest(float value) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23
  return static_cast<std::int32_t>((value + kShift) - kShift);
}

void pack_row(const float* row, const float* origin, std::int64_t dim, std::uint8_t* codes, float* scale) {
  *scale = std::max(largest_beyond(row, origin, dim) / 127.0f, kLeastScale);
  const float inverse = 1.0f / *scale;
  for (std::int64_t j = 0; j < dim; ++j)
    codes[j / 4 * 4 * kBlock + j % 4] = static_cast<std::uint8_t>(nearest((row[j] - origin[j]) * inverse) + 128);
}

}  // namespace

void pack(const Rows& rows, const std::uint32_t* order, std::int64_t places, int threads, std::uint8_t* codes,
          float* scale) {
  const std::int64_t dim = rows.dim;
  const std::int64_t stride = code_stride(dim), blocks = places / kBlock;
  const int count = useful_threads(threads, places * dim * static_cast<std::int64_t>(sizeof(float)));
  run_threads(count, [&](int thread) {
    for (std::int64_t block = blocks * thread / count; block < blocks * (thread + 1) / count; ++block) {
      std::uint8_t* start = codes + block * kBlock * stride;
      std::fill(start, start + kBlock * stride, std::uint8_t{128});
      for (int i = 0; i < kBlock; ++i) {
        const std::int64_t place = block * kBlock + i;
        const std::uint32_t row = order[place];
        if (row == kNoRow)
          scale[place] = std::numeric_limits<float>::quiet_NaN();
        else
          pack_row(rows.values + static_cast<std::int64_t>(row) * dim, rows.origin, dim, start + 4 * i, scale + place);
      }
    }
  });
}

float code_query(const float* query, std::int64_t dim, int range, std::int8_t* codes, Query* coded) {
  const float largest = largest_magnitude(query, dim);
  // Zeros are zeros in any unit; in 1 their squared distances stay within floats.
  const float scale = largest == 0 ? 1.0f : std::max(largest / static_cast<float>(range), kLeastScale);
  const float inverse = 1.0f / scale;
  std::int32_t sum = 0;
  for (std::int64_t j = 0; j < dim; ++j) {
    const std::int32_t code = nearest(query[j] * inverse);
    codes[j] = static_cast<std::int8_t>(code);
    sum += code;
  }
  std::fill(codes + dim, codes + code_stride(dim), std::int8_t{0});
  *coded = {codes, -128 * sum, 0.0f};
  return scale;
}

}  // namespace shortlist::leaves
