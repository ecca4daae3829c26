// Floats to the codes that the kernels read.
#pragma once

#include <cstdint>

#include "kernels.hpp"

namespace shortlist::leaves {

constexpr std::int64_t kMaxDim = 16384;         // more could overflow the 32-bit sums of codes
constexpr std::uint32_t kNoRow = 0xffffffffu;  // what `order` says of a place that no row takes

// Rows, [count, dim], and the frame of their codes.
struct Rows {
  const float* values;
  std::int64_t dim;
  Frame frame;
};

// Where the codes of rows go: whole blocks, which take the first `stride` codes of each row, and what is left.
struct Codes {
  std::uint8_t* blocks;  // [places / 16][stride / 4][16][4]
  std::int64_t stride;
  std::uint8_t* rest;    // [places][rest_stride]; null: nothing is left
  std::int64_t rest_stride;
  float* scale;          // [places]
};

// Codes the rows named in `order`, each with a scale of its own; what no row takes gets a NaN for its scale.
void pack(const Rows& rows, const std::uint32_t* order, std::int64_t places, int threads, const Codes& codes);

// Codes a query within ±range; `codes` has the stride's length. Returns the scale: a score in its units times
// this is the score.
float code_query(const float* query, std::int64_t dim, int range, std::int8_t* codes, Query* coded);

// The query as it meets rows whose blocks hold the first `stride` of its codes, and their rest the others.
Query cut(const Query& whole, std::int64_t stride);

}  // namespace shortlist::leaves
