#include "codes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "../threads.hpp"

namespace shortlist::leaves {
namespace {

constexpr float kLeastScale = 1e-30f;  // the inverse of less could overflow; rows that small are coded as zeros

float largest_magnitude(const float* row, std::int64_t dim) {
  float most = 0;
  for (std::int64_t j = 0; j < dim; ++j) most = std::max(most, std::fabs(row[j]));
  return most;
}

// Nearest whole number by the float format's own rounding; for magnitudes below 2^22.
inline std::int32_t nearest(float value) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23
  return static_cast<std::int32_t>((value + kShift) - kShift);
}

void pack_row(const float* relative, std::int64_t dim, std::int64_t place, const Codes& out) {
  const float scale = std::max(largest_magnitude(relative, dim) / 127.0f, kLeastScale);
  const float inverse = 1.0f / scale;
  const auto code = [&](std::int64_t j) { return static_cast<std::uint8_t>(nearest(relative[j] * inverse) + 128); };
  const std::int64_t head = std::min(dim, out.stride);
  std::uint8_t* codes = out.blocks + place / kBlock * kBlock * out.stride + 4 * (place % kBlock);
  for (std::int64_t j = 0; j < head; ++j) codes[j / 4 * 4 * kBlock + j % 4] = code(j);
  for (std::int64_t j = head; j < dim; ++j) out.rest[place * out.rest_stride + j - head] = code(j);
  out.scale[place] = scale;
}

// What a thread needs for the rows of a block.
struct Turned {
  std::vector<float> relative, along;
  Turned(const Rows& rows)
      : relative(static_cast<std::size_t>(kBlock * rows.dim)),
        along(static_cast<std::size_t>(kTile * rows.frame.turned)) {}
};

void pack_block(const Rows& rows, const std::uint32_t* order, std::int64_t block, const Kernels& table, Turned& turned,
                const Codes& out) {
  const std::int64_t first = block * kBlock;
  std::fill_n(out.blocks + first * out.stride, kBlock * out.stride, std::uint8_t{128});
  if (out.rest != nullptr) std::fill_n(out.rest + first * out.rest_stride, kBlock * out.rest_stride, std::uint8_t{128});
  float* relative = turned.relative.data();
  for (std::int64_t i = 0; i < kBlock; ++i) {
    if (order[first + i] == kNoRow) continue;  // what was there before is turned in its stead, for nothing
    const float* row = rows.values + static_cast<std::int64_t>(order[first + i]) * rows.dim;
    for (std::int64_t j = 0; j < rows.dim; ++j) relative[i * rows.dim + j] = row[j] - rows.frame.origin[j];
  }
  if (rows.frame.turned > 0) table.turn(rows.frame, rows.dim, relative, kBlock, turned.along.data());
  for (std::int64_t i = 0; i < kBlock; ++i) {
    if (order[first + i] == kNoRow)
      out.scale[first + i] = std::numeric_limits<float>::quiet_NaN();
    else
      pack_row(relative + i * rows.dim, rows.dim, first + i, out);
  }
}

}  // namespace

void pack(const Rows& rows, const std::uint32_t* order, std::int64_t places, int threads, const Codes& codes) {
  const Kernels& table = kernels();
  const std::int64_t blocks = places / kBlock;
  const int count = useful_threads(threads, places * rows.dim * static_cast<std::int64_t>(sizeof(float)));
  run_threads(count, [&](int thread) {
    Turned turned(rows);
    for (std::int64_t block = blocks * thread / count; block < blocks * (thread + 1) / count; ++block)
      pack_block(rows, order, block, table, turned, codes);
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
  *coded = {codes, -128 * sum, 0.0f, 0};
  return scale;
}

Query cut(const Query& whole, std::int64_t stride) {
  const std::int32_t sum = std::accumulate(whole.codes, whole.codes + stride, std::int32_t{0});
  return {whole.codes, -128 * sum, whole.weight, whole.start + 128 * sum};
}

}  // namespace shortlist::leaves
