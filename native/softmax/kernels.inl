// The kernels in terms of vectors of LANES floats; each instruction set includes this file with LANES, SIMD (the
// target of its functions) and WIDE (whether there are 32 registers) of its own, and uses what it has no better of.
#include <cstdint>

#include "kernels.hpp"

namespace shortlist::softmax {
namespace {

#include "../vectors.inl"

constexpr int kPanelVecs = WIDE ? 4 : 2;
constexpr int kPanel = kPanelVecs * LANES;
constexpr int kScoreRows = 6;
constexpr int kMostVecs = WIDE ? 4 : 2;         // of an embedding, at a time
constexpr std::int64_t kColumns = 2 * kPanel;   // of the tile that both gradients read while they are near

SIMD float pack_candidates(const float* rows, std::int64_t width, std::int64_t padded, float* panels, float* packed) {
  for (std::int64_t i = 0; i < width * padded; i += LANES) store(packed + i, load(rows + i));
  for (std::int64_t j = 0; j < width; ++j) {
    float* lane = panels + j / kPanel * kPanel * padded + j % kPanel;
    for (std::int64_t k = 0; k < padded; ++k) lane[k * kPanel] = rows[j * padded + k];
  }
  return 1.0f;
}

SIMD float pack_rows(const float* rows, std::int64_t count, std::int64_t padded, float* packed) {
  for (std::int64_t i = 0; i < count * padded; i += LANES) store(packed + i, load(rows + i));
  return 1.0f;
}

SIMD void score_rows(const float* queries, std::int64_t padded, const float* panel, const float* bias, float* scores,
                     std::int64_t stride) {
  Vec sums[kScoreRows][kPanelVecs];
  UNROLLED for (int v = 0; v < kPanelVecs; ++v) {
    const Vec start = load(bias + v * LANES);
    UNROLLED for (int r = 0; r < kScoreRows; ++r) sums[r][v] = start;
  }
  for (std::int64_t k = 0; k < padded; ++k) {
    Vec candidates[kPanelVecs];
    UNROLLED for (int v = 0; v < kPanelVecs; ++v) candidates[v] = load(panel + k * kPanel + v * LANES);
    UNROLLED for (int r = 0; r < kScoreRows; ++r) {
      const float query = queries[r * padded + k];
      UNROLLED for (int v = 0; v < kPanelVecs; ++v) sums[r][v] += candidates[v] * query;
    }
  }
  UNROLLED for (int r = 0; r < kScoreRows; ++r)
    UNROLLED for (int v = 0; v < kPanelVecs; ++v) store(scores + r * stride + v * LANES, sums[r][v]);
}

SIMD void scores(const float* queries, std::int64_t rows, std::int64_t padded, const float* panels,
                 std::int64_t width, const float* bias, float* out, std::int64_t stride) {
  for (std::int64_t j = 0; j < width; j += kPanel)
    for (std::int64_t r = 0; r < rows; r += kScoreRows)
      score_rows(queries + r * padded, padded, panels + j * padded, bias + j, out + r * stride + j, stride);
}

SIMD Normaliser exponentials_of(float* row, std::int64_t width, float at_least) {
  constexpr int kVecs = kPanelVecs;
  Vec most[kVecs], sums[kVecs] = {};
  UNROLLED for (int v = 0; v < kVecs; ++v) most[v] = load(row + v * LANES);
  for (std::int64_t j = kPanel; j < width; j += kPanel)
    UNROLLED for (int v = 0; v < kVecs; ++v) {
      const Vec value = load(row + j + v * LANES);
      most[v] = value > most[v] ? value : most[v];
    }
  float largest = at_least;
  for (int v = 0; v < kVecs; ++v)
    for (int lane = 0; lane < LANES; ++lane) largest = most[v][lane] > largest ? most[v][lane] : largest;
  for (std::int64_t j = 0; j < width; j += kPanel)
    UNROLLED for (int v = 0; v < kVecs; ++v) {
      const Vec value = exponential(load(row + j + v * LANES) - largest);
      store(row + j + v * LANES, value);
      sums[v] += value;
    }
  float sum = 0;
  for (int v = 0; v < kVecs; ++v)
    for (int lane = 0; lane < LANES; ++lane) sum += sums[v][lane];
  return {largest, sum};
}

[[maybe_unused]] SIMD void exponentials(float* rows, std::int64_t width, std::int64_t stride, Normaliser* found) {
  for (int r = 0; r < 2; ++r) found[r] = exponentials_of(rows + r * stride, width, found[r].largest);
}

// Adds a sum of `count` rows of `kVecs` vectors each to kRows results: factors[k * by_step + r * by_row] of row k.
template <int kRows, int kVecs>
INLINE void add_products(const float* factors, std::int64_t by_step, std::int64_t by_row, const float* rows,
                         std::int64_t count, std::int64_t dim, float* results) {
  Vec sums[kRows][kVecs];
  UNROLLED for (int r = 0; r < kRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] = load(results + r * dim + v * LANES);
  for (std::int64_t k = 0; k < count; ++k) {
    Vec row[kVecs];
    UNROLLED for (int v = 0; v < kVecs; ++v) row[v] = load(rows + k * dim + v * LANES);
    UNROLLED for (int r = 0; r < kRows; ++r) {
      const float factor = factors[k * by_step + r * by_row];
      UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] += row[v] * factor;
    }
  }
  UNROLLED for (int r = 0; r < kRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) store(results + r * dim + v * LANES, sums[r][v]);
}

// Both gradients for some columns of the tile and kVecs vectors of the embeddings.
template <int kVecs>
SIMD void gradients_of(const float* tile, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                       const float* candidates, const float* queries, std::int64_t dim, float* grad_queries,
                       float* grad_candidates) {
  constexpr int kQueries = (WIDE ? kVecs <= 2 : kVecs == 1) ? 12 : 6;
  constexpr int kCandidates = (WIDE ? 16 : 8) / (kVecs == 3 ? 4 : kVecs);
  for (std::int64_t r = 0; r < rows; r += kQueries)
    add_products<kQueries, kVecs>(tile + r * stride, 1, stride, candidates, columns, dim, grad_queries + r * dim);
  for (std::int64_t j = 0; j < columns; j += kCandidates)
    add_products<kCandidates, kVecs>(tile + j, stride, 1, queries, rows, dim, grad_candidates + j * dim);
}

[[maybe_unused]] SIMD void gradients(const float* tile, std::int64_t rows, std::int64_t width, std::int64_t stride,
                                     const float* candidates, float, const float* queries, float, std::int64_t dim,
                                     float* grad_queries, float* grad_candidates) {
  for (std::int64_t j = 0; j < width; j += kColumns) {
    const std::int64_t columns = width - j < kColumns ? width - j : kColumns;
    for (std::int64_t d = 0; d < dim; d += kMostVecs * LANES) {
      const std::int64_t vecs = (dim - d) / LANES < kMostVecs ? (dim - d) / LANES : kMostVecs;
      const auto some = vecs == 1   ? gradients_of<1>
                        : vecs == 2 ? gradients_of<2>
                        : vecs == 3 ? gradients_of<kMostVecs == 4 ? 3 : 2>
                                    : gradients_of<kMostVecs>;
      some(tile + j, rows, columns, stride, candidates + j * dim + d, queries + d, dim, grad_queries + d,
           grad_candidates + j * dim + d);
    }
  }
}

[[maybe_unused]] SIMD void column_sums(const float* tile, std::int64_t rows, std::int64_t width, std::int64_t stride,
                                       const float* factors, float* sums) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t j = 0; j < width; j += LANES)
      store(sums + j, load(sums + j) + load(tile + r * stride + j) * factors[r]);
}

}  // namespace
}  // namespace shortlist::softmax
