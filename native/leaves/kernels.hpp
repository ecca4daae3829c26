// The inner loops of the approximate index, one table for each instruction set.
//
// Rows lie in blocks of 16, four dimensions of all 16 side by side: one register of 64 bytes meets four bytes
// of a query, repeated, and adds 16 partial sums in one instruction. A row v is stored as
// round(v / scale) + 128 with a scale of its own; a query as signed bytes. Scores are in units of the query's
// scale, and are estimates: the best few are scored again from floats.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace shortlist::leaves {

constexpr int kBlock = 16;     // rows side by side
constexpr int kRunBlocks = 4;  // blocks that one call of `hits` takes
constexpr int kTile = 4;       // queries that one call takes

// Bytes that a block takes for each row: whole groups of four.
constexpr std::int64_t code_stride(std::int64_t dim) { return (dim + 3) / 4 * 4; }

// What codes are relative to. Rows that all lie far to one side would otherwise spend their bits on what they
// share. The mirrors M turn the directions in which rows differ most to the front, one to an axis: a vector x becomes
// x - M'Wx, where the weights W say what to take of each mirror.
struct Frame {
  const float* origin;    // [dim]
  const float* mirrors;   // [turned, dim]
  const float* weights;   // [turned, dim]
  std::int64_t turned;    // 0: the axes are those of the rows
};

// Blocks that lie one after another. They hold all the codes of their rows, or the first ones alone: the heads.
struct Run {
  const std::uint8_t* codes;     // [blocks][stride / 4][16][4]
  const float* scale;            // [blocks * 16]; NaN where there is no row, so that no comparison holds
  const float* bias;             // [blocks * 16] added to a score; null: nothing
  const std::uint16_t* allowed;  // [blocks] a bit a row; null: all
  std::int64_t blocks;
  std::int64_t stride;           // codes of a row in its block
  const std::uint8_t* rest;      // [blocks * 16][rest_stride] the codes of a row that its head lacks; null: none
  std::int64_t rest_stride;
};

struct Query {
  const std::int8_t* codes;  // [stride + rest_stride]
  std::int32_t start;        // -128 * (sum of the codes that meet a block): undoes the + 128 of the rows
  float weight;              // of the rows' bias
  std::int32_t rest_start;   // as start, of the codes that meet the rest of a row
};

// Rows that a query has met and whose scores reached its threshold. There is room for one block more than the
// caller counts on: a kernel writes whole registers.
struct Hits {
  float* scores;
  std::uint32_t* places;
  std::int32_t count;
  float threshold;
};

// What the distance from a query to the nearest row of a leaf depends on, besides the leaf.
struct Nearness {
  float square;    // of the query's length, in its units
  float unit;      // what a score is worth
  float reach;     // how many spreads closer than its centroid a leaf's nearest row is expected
  float variance;  // how many squared spreads farther
};

struct Kernels {
  const char* name;
  // Codes of a query stay within it; AVX2's 16-bit sums would overflow with the full 127.
  int query_range;

  // Scores of every row of the run, whatever is allowed: `out[q * width + row]`.
  void (*scores)(const Run& run, const Query* queries, int count, float* out, std::int64_t width);
  // Adds the rows that reach the threshold; the run's first row is called `place`. At most kRunBlocks blocks
  // and kTile queries, whose buffers have room for all their rows.
  void (*hits)(const Run& run, std::uint32_t place, const Query* const* queries, Hits* const* hits, int count);

  // Adds what the rest of their codes says to the scores of some rows of the run, whose first row is called `place`.
  void (*complete)(const Run& run, std::uint32_t place, const Query& query, const std::uint32_t* places,
                   std::int64_t count, float* scores);

  // The highest of some scores; NaN counts for nothing.
  float (*highest)(const float* scores, std::int64_t count);
  // How many scores reach a threshold, and what those that do weigh together.
  std::int64_t (*count_reaching)(const float* scores, std::int64_t count, float threshold);
  float (*sum_reaching)(const float* scores, const float* weights, std::int64_t count, float threshold);
  // Where the scores reach a threshold: writes places and scores, returns how many. Whole registers are
  // written, so both need room for 16 more than `count`.
  std::int64_t (*reaching)(const float* scores, std::int64_t count, float threshold, std::uint32_t* places,
                           float* reached);
  // Turns the scores of leaves' centroids into those to expect of their nearest rows.
  void (*expect_near)(float* scores, const float* spreads, std::int64_t leaves, const Nearness& near);
  // Turns vectors, [count, dim], to the axes of their codes. There is room for `turned` values a vector in `along`.
  void (*turn)(const Frame& frame, std::int64_t dim, float* vectors, std::int64_t count, float* along);
};

// From half of minus the squared distance to a centroid, less |q|^2 / 2, to minus that of the leaf's nearest row:
// rows are farther than their centroid by their variance, the nearest of them by as much less as they spread. A
// query closer than that lies among the rows, and the closer the better. Each table compiles this loop for its own
// instructions.
inline __attribute__((always_inline)) void expect_near_each(float* scores, const float* spreads, std::int64_t leaves,
                                                            const Nearness& near) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const Nearness n = near;  // a copy, which no store into the scores can change
  const float inverse = 1.0f / n.unit;
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
    const float squared = std::max(n.square - 2.0f * scores[leaf], 0.0f);  // distance^2 / unit
    const float spread = spreads[leaf];
    const float beyond = std::sqrt(squared * n.unit) - n.reach * spread;
    // Where floats do not reach it is NaN, which this order of arguments makes the lowest: still a leaf.
    scores[leaf] = std::max(kLowest, -(beyond * std::abs(beyond) + n.variance * spread * spread) * inverse);
  }
}

// vector - sum of along[i] * rows[i]; each table compiles it for its own instructions.
inline __attribute__((always_inline)) void subtract_each(const float* rows, std::int64_t count, std::int64_t dim,
                                                         const float* along, float* __restrict vector) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float by = along[i];
    for (std::int64_t j = 0; j < dim; ++j) vector[j] -= by * rows[i * dim + j];
  }
}

// Asks for the rest of some rows before any of it is read.
inline void ask_for_rest(const Run& run, std::uint32_t place, const std::uint32_t* places, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint8_t* rest = run.rest + static_cast<std::int64_t>(places[i] - place) * run.rest_stride;
    for (std::int64_t j = 0; j < run.rest_stride; j += 64) __builtin_prefetch(rest + j);
  }
}

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#endif

// The table for the instruction set that the process uses (see shortlist::kernels).
const Kernels& kernels();

}  // namespace shortlist::leaves
