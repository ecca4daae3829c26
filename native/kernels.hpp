// The inner loops, one table of functions for each instruction set, chosen at run time.
//
// Exactness rests on one split. `dot` and `squared_distance` give *the* score: double accumulation in a
// fixed order, so every instruction set returns the same bits. The filters only decide which rows are worth
// scoring: they return every row whose approximate score reaches a bound that the caller has already lowered
// by a proven error, so a filter may be as coarse and as fast as it likes.
#pragma once

#include <cstdint>
#include <string>

namespace shortlist {

constexpr int kBlockRows = 64;   // rows that share one scale and one error bound
constexpr int kPanel = 16;       // queries side by side in the lanes of a panel
constexpr int kMaxPanels = 2;    // panels that one call of a filter takes
constexpr int kLanes = kPanel * kMaxPanels;

// A row of the block (0..63) that reached the bound of the query in `lane` (0..31).
struct Hit {
  std::uint16_t row;
  std::uint16_t lane;
};

// Queries packed for the panel filters: float `[panel][dim][16]`, codes `[panel][dim / 4][16][4]`.
struct Kernels {
  const char* name;
  // Codes of a query stay within ±query_range; AVX2's 16-bit sums would overflow with the full ±127.
  int query_range;

  double (*dot)(const float* a, const float* b, std::int64_t dim);
  double (*squared_distance)(const float* a, const float* b, std::int64_t dim);

  // Rows whose float32 score lies within [low, high] or is NaN are hits; those above `high` are counted in
  // `above` (the caller is sure of them); those below `low` are dropped.
  int (*band_panels)(const float* rows, std::int64_t dim, int count, const float* packed, int panels,
                     const float* low, const float* high, std::int64_t* above, Hit* hits);
  // The same for a single query, without an upper bound.
  int (*at_least_row)(const float* rows, std::int64_t dim, int count, const float* query, float low, Hit* hits);

  // A whole block of codes (value + 128); hits are sums that reach `low`. `stride` is a multiple of 4.
  int (*code_panels)(const std::uint8_t* rows, std::int64_t stride, const std::int8_t* packed, int panels,
                     const std::int32_t* low, Hit* hits);
  int (*code_row)(const std::uint8_t* rows, std::int64_t stride, const std::int8_t* query, std::int32_t low,
                  Hit* hits);
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
