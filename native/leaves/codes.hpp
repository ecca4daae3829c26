// Floats to the codes that the kernels read.
#pragma once

#include <cstdint>

#include "kernels.hpp"

namespace shortlist::leaves {

constexpr std::int64_t kMaxDim = 16384;         // more could overflow the 32-bit sums of codes
constexpr std::uint32_t kNoRow = 0xffffffffu;  // what `order` says of a place that no row takes

// Rows, [count, dim], and the point that their codes are relative to. Rows that all lie far to one side would
// otherwise spend their bits on what they share.
struct Rows {
  const float* values;
  std::int64_t dim;
  const float* origin;  // [dim]
};

// Codes the rows named in `order` into whole blocks, each row with a scale of its own; what no row takes gets a NaN
// for its scale.
void pack(const Rows& rows, const std::uint32_t* order, std::int64_t places, int threads, std::uint8_t* codes,
          float* scale);

// Codes a query within ±range; `codes` has the stride's length. Returns the scale: a score in its units times
// this is the score.
float code_query(const float* query, std::int64_t dim, int range, std::int8_t* codes, Query* coded);

}  // namespace shortlist::leaves
