// The inner loops, one table of functions for each instruction set, chosen at run time.
//
// Exactness rests on one split. `dot` and `squared_distance` give *the* score: double accumulation in a
// fixed order, so every instruction set returns the same bits. The code filters only decide which rows are
// worth scoring: their threshold is already lowered by a proven bound on the codes' error (see
// `code_threshold`), so they may be as coarse and as fast as they like.
#pragma once

#include <cstdint>
#include <string>

namespace shortlist {

constexpr int kBlockRows = 64;   // rows that share one scale and one error bound
constexpr int kPanel = 16;       // queries side by side in the lanes of a panel
constexpr int kMaxPanels = 2;    // panels that one call of a filter takes
constexpr int kLanes = kPanel * kMaxPanels;
constexpr std::int64_t kMaxDim = 65536;           // more could overflow the 32-bit sums of codes
constexpr std::int32_t kSumLimit = 1 << 30;       // no sum of codes reaches it: 127 * 127 * kMaxDim is below

// Bytes of a row of codes: whole groups of four, as the byte products take them.
constexpr std::int64_t code_stride(std::int64_t dim) { return (dim + 3) / 4 * 4; }

// What is known of a block's codes. A row v is stored as round(v / scale) + 128; `residual` bounds the norm of
// what the rounding lost and `norm` that of what it kept, both in units of `scale`.
struct BlockStats {
  double scale;
  double residual;
  double norm;
  double shortest;  // Euclidean norms of the block's shortest and longest row, for the metrics that need
  double longest;   // them and for skipping a block unseen
};

// One block as a filter reads it.
struct CodeBlock {
  const std::uint8_t* codes;  // [64][stride]
  std::int64_t stride;
  std::uint64_t allowed;      // bit r: row r may be a hit
  float inverse_scale;
  float residual;
  float norm;
  float half_square;          // half the squared norm of the shortest row; 0 for inner products
};

// Up to 32 queries as a filter reads them. Codes are packed `[panel][stride / 4][16][4]`, for `code_row` `[stride]`.
struct CodeQueries {
  const std::int8_t* codes;
  const std::int32_t* start;  // -128 * (sum of the query's codes): undoes the + 128 of the rows
  const float* bound;         // score to reach, divided by the query's scale
  const float* square;        // weight of `half_square`
  const float* residual;      // weight of the block's residual: the query's norm in units of its scale
  const float* norm;          // weight of the block's norm: what the rounding of the query lost
};

// A row of the block (0..63) whose sum of code products reached the threshold of the query in `lane` (0..31).
struct Hit {
  std::uint16_t row;
  std::uint16_t lane;
  std::int32_t sum;
};

// The least sum that a row worth scoring can have. With q = s(c + e) and v = t(d + f), where c and d are codes,
// q.v / (s t) differs from c.d by at most |q / s| |f| + |e| |d| (Cauchy-Schwarz). The weights have been rounded
// towards safety by more than the few roundings of this line; the final 1 covers the one to an integer.
inline float code_threshold(const CodeBlock& block, float bound, float square, float residual, float norm) {
  return block.inverse_scale * (bound + square * block.half_square) - (residual * block.residual + norm * block.norm) -
         1.0f;
}

inline std::int32_t clamp_threshold(float threshold) {
  const float limit = static_cast<float>(kSumLimit);
  if (threshold >= limit) return kSumLimit;
  return threshold > -limit ? static_cast<std::int32_t>(threshold) : -kSumLimit;  // a NaN lets everything pass
}

// Asks for the codes that a filter will read one page later. A processor's own prefetching stops at the end of
// a page, and codes mapped from a file come in small pages.
inline void prefetch_ahead(const std::uint8_t* codes, std::int64_t bytes) {
  constexpr std::int64_t kPage = 4096, kLine = 64;
  for (std::int64_t i = 0; i < bytes; i += kLine) __builtin_prefetch(codes + kPage + i);
}

struct Kernels {
  const char* name;
  // Codes of a query stay within ±query_range; AVX2's 16-bit sums would overflow with the full ±127.
  int query_range;

  double (*dot)(const float* a, const float* b, std::int64_t dim);
  double (*squared_distance)(const float* a, const float* b, std::int64_t dim);

  // Fills a block of codes, and the first three fields of its stats, from up to 64 rows; the rows that are
  // missing become zeros. Returns false if a value is infinite or NaN.
  bool (*encode_block)(const float* const* rows, int count, std::int64_t dim, std::uint8_t* codes,
                       BlockStats* stats);

  // Hits of a whole block, in any order; `hits` has room for 64 for each lane.
  int (*code_panels)(const CodeBlock& block, const CodeQueries& queries, int panels, Hit* hits);
  int (*code_row)(const CodeBlock& block, const CodeQueries& query, Hit* hits);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#endif

// The table in use: the best that the processor has, unless SHORTLIST_SIMD or use_kernels said otherwise.
const Kernels& kernels();

// "portable", "avx2", "avx512" or "" (the best). Throws std::invalid_argument when the processor lacks it.
void use_kernels(const std::string& name);

}  // namespace shortlist
