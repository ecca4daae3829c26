// The kernels of the fused softmax for AVX-512 with products of bfloat16, whose sums are float32.
//
// An instruction multiplies 16 pairs of numbers of 16 bits each and adds the two products of a pair. So pairs lie
// side by side: of neighbouring widths for the scores, of neighbouring candidates for the gradients of the queries,
// of neighbouring queries for those of the candidates. The tile is needed in the last two forms; both together fill
// what its float32 scores leave.
#if defined(__x86_64__)
// GCC 12 warns about its own intrinsics.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define SIMD __attribute__((target("avx512f,avx512bw,avx512dq,avx512bf16,avx2,fma")))
#define INLINE SIMD inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")
#include "exponentials_avx512.inl"
#include "kernels.hpp"

namespace shortlist::softmax {
namespace {

constexpr int kLanes = 16;
constexpr int kPanelVecs = 4;
constexpr int kPanel = kPanelVecs * kLanes;
constexpr int kScoreRows = 6;
constexpr int kBlock = 2 * kLanes;            // columns of the tile whose exponentials are converted together
constexpr int kMostVecs = 4;                  // of an embedding, at a time
constexpr std::int64_t kColumns = 2 * kPanel; // of the tile that both gradients read while they are near

typedef std::uint32_t Word __attribute__((may_alias));
using Words = const Word*;

INLINE __m512i halves(__m512 low, __m512 high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// 16 words of (first[i], second[i]) and 16 more, of 32 halves each.
INLINE __m512i interleaved_low(__m512i first, __m512i second) {
  const __m512i order = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                                         37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  return _mm512_permutex2var_epi16(first, order, second);
}

INLINE __m512i interleaved_high(__m512i first, __m512i second) {
  const __m512i order = _mm512_set_epi16(63, 31, 62, 30, 61, 29, 60, 28, 59, 27, 58, 26, 57, 25, 56, 24, 55, 23, 54,
                                         22, 53, 21, 52, 20, 51, 19, 50, 18, 49, 17, 48, 16);
  return _mm512_permutex2var_epi16(first, order, second);
}

INLINE __m512 product(__m512 sum, __m512i pairs, std::uint32_t factor) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(pairs),
                          reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(factor))));
}

// [count / 2][padded] words of two rows each.
SIMD float pack_row_pairs(const float* rows, std::int64_t count, std::int64_t padded, float* packed) {
  const __m512 zero = _mm512_setzero_ps();
  for (std::int64_t r = 0; r < count; r += 2)
    for (std::int64_t k = 0; k < padded; k += kLanes) {
      const float* pair = rows + r * padded + k;
      const __m512i first = halves(_mm512_loadu_ps(pair), zero);
      const __m512i second = halves(_mm512_loadu_ps(pair + padded), zero);
      _mm512_storeu_si512(packed + r / 2 * padded + k, interleaved_low(first, second));
    }
  return 1.0f;
}

// [rows][padded / 2] words of neighbouring widths.
SIMD float pack_queries(const float* queries, std::int64_t rows, std::int64_t padded, float* packed) {
  auto* words = reinterpret_cast<char*>(packed);
  for (std::int64_t i = 0; i < rows * padded; i += kLanes)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + 2 * i),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(queries + i))));
  return 1.0f;
}

SIMD float pack_candidates(const float* rows, std::int64_t width, std::int64_t padded, float* panels, float* packed) {
  pack_row_pairs(rows, width, padded, packed);
  alignas(64) Word words[kLanes / 2];
  auto* out = reinterpret_cast<Word*>(panels);
  for (std::int64_t j = 0; j < width; ++j) {
    Word* lane = out + j / kPanel * kPanel * (padded / 2) + j % kPanel;
    for (std::int64_t k = 0; k < padded; k += kLanes) {
      pack_queries(rows + j * padded + k, 1, kLanes, reinterpret_cast<float*>(words));
      for (int i = 0; i < kLanes / 2; ++i) lane[(k / 2 + i) * kPanel] = words[i];
    }
  }
  return 1.0f;
}

SIMD void score_rows(Words queries, std::int64_t pairs, Words panel, const float* bias, float* scores,
                     std::int64_t stride) {
  __m512 sums[kScoreRows][kPanelVecs];
  UNROLLED for (int v = 0; v < kPanelVecs; ++v) {
    const __m512 start = _mm512_loadu_ps(bias + v * kLanes);
    UNROLLED for (int r = 0; r < kScoreRows; ++r) sums[r][v] = start;
  }
  for (std::int64_t k = 0; k < pairs; ++k) {
    __m512i candidates[kPanelVecs];
    UNROLLED for (int v = 0; v < kPanelVecs; ++v) candidates[v] = _mm512_loadu_si512(panel + k * kPanel + v * kLanes);
    UNROLLED for (int r = 0; r < kScoreRows; ++r)
      UNROLLED for (int v = 0; v < kPanelVecs; ++v)
        sums[r][v] = product(sums[r][v], candidates[v], queries[r * pairs + k]);
  }
  UNROLLED for (int r = 0; r < kScoreRows; ++r)
    UNROLLED for (int v = 0; v < kPanelVecs; ++v) _mm512_storeu_ps(scores + r * stride + v * kLanes, sums[r][v]);
}

SIMD void scores(const float* queries, std::int64_t rows, std::int64_t padded, const float* panels,
                 std::int64_t width, const float* bias, float* out, std::int64_t stride) {
  const std::int64_t pairs = padded / 2;
  const auto* words = reinterpret_cast<Words>(queries);
  const auto* columns = reinterpret_cast<Words>(panels);
  for (std::int64_t j = 0; j < width; j += kPanel)
    for (std::int64_t r = 0; r < rows; r += kScoreRows)
      score_rows(words + r * pairs, pairs, columns + j * pairs, bias + j, out + r * stride + j, stride);
}

// In the place of 32 scores of two rows: the first row's halves and the second's, and pairs of both.
SIMD void exponentials(float* rows, std::int64_t width, std::int64_t stride, Normaliser* found) {
  __m512 largest[2], sums[2][2] = {};
  for (int r = 0; r < 2; ++r) {
    found[r].largest = largest_of(rows + r * stride, width, found[r].largest);
    largest[r] = _mm512_set1_ps(found[r].largest);
    UNROLLED for (int v = 0; v < 2; ++v) sums[r][v] = _mm512_setzero_ps();
  }
  for (std::int64_t j = 0; j < width; j += kBlock) {
    __m512i packed[2];
    UNROLLED for (int r = 0; r < 2; ++r) {
      __m512 values[2];
      UNROLLED for (int v = 0; v < 2; ++v) {
        const __m512 score = _mm512_loadu_ps(rows + r * stride + j + v * kLanes);
        values[v] = rough_exponential(_mm512_sub_ps(score, largest[r]));
        sums[r][v] = _mm512_add_ps(sums[r][v], values[v]);
      }
      packed[r] = halves(values[0], values[1]);
    }
    UNROLLED for (int r = 0; r < 2; ++r) _mm512_storeu_si512(rows + j + r * kLanes, packed[r]);
    _mm512_storeu_si512(rows + stride + j, interleaved_low(packed[0], packed[1]));
    _mm512_storeu_si512(rows + stride + j + kLanes, interleaved_high(packed[0], packed[1]));
  }
  for (int r = 0; r < 2; ++r) found[r].sum = _mm512_reduce_add_ps(_mm512_add_ps(sums[r][0], sums[r][1]));
}

template <int kRows, int kVecs>
INLINE void load_sums(const float* from, std::int64_t padded, __m512 (&sums)[kRows][kVecs]) {
  UNROLLED for (int r = 0; r < kRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] = _mm512_loadu_ps(from + r * padded + v * kLanes);
}

template <int kRows, int kVecs>
INLINE void store_sums(const __m512 (&sums)[kRows][kVecs], std::int64_t padded, float* to) {
  UNROLLED for (int r = 0; r < kRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) _mm512_storeu_ps(to + r * padded + v * kLanes, sums[r][v]);
}

// Adds the products of a row of words with as many factors as there are sums.
template <int kRows, int kVecs, class Factor>
INLINE void add_row(Words row, const Factor& factor, __m512 (&sums)[kRows][kVecs]) {
  __m512i pairs[kVecs];
  UNROLLED for (int v = 0; v < kVecs; ++v) pairs[v] = _mm512_loadu_si512(row + v * kLanes);
  UNROLLED for (int r = 0; r < kRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] = product(sums[r][v], pairs[v], factor(r));
}

// Both gradients for some columns of the tile and kVecs vectors of the embeddings.
template <int kVecs>
SIMD void gradients_of(Words tile, std::int64_t rows, std::int64_t columns, std::int64_t stride, Words candidates,
                       Words queries, std::int64_t padded, float* grad_queries, float* grad_candidates) {
  constexpr int kQueries = kVecs <= 2 ? 12 : 6;
  constexpr int kCandidates = kVecs == 1 ? 16 : kVecs == 2 ? 8 : 4;
  __m512 own[kQueries][kVecs], others[kCandidates][kVecs];
  for (std::int64_t r = 0; r < rows; r += kQueries) {
    load_sums(grad_queries + r * padded, padded, own);
    for (std::int64_t j = 0; j < columns; j += kBlock)
      for (int i = 0; i < kLanes; ++i) {
        Words first = tile + r * stride + j + i;
        add_row(candidates + (j / 2 + i) * padded,
                [&](int q) SIMD { return first[q / 2 * 2 * stride + q % 2 * kLanes]; }, own);
      }
    store_sums(own, padded, grad_queries + r * padded);
  }
  for (std::int64_t j = 0; j < columns; j += kCandidates) {
    load_sums(grad_candidates + j * padded, padded, others);
    for (std::int64_t r = 0; r < rows; r += 2) {
      Words pairs = tile + (r + 1) * stride + j;
      add_row(queries + r / 2 * padded, [&](int c) SIMD { return pairs[c]; }, others);
    }
    store_sums(others, padded, grad_candidates + j * padded);
  }
}

SIMD void gradients(const float* tile, std::int64_t rows, std::int64_t width, std::int64_t stride,
                    const float* candidates, float, const float* queries, float, std::int64_t padded,
                    float* grad_queries, float* grad_candidates) {
  const auto* tile_words = reinterpret_cast<Words>(tile);
  const auto* candidate_words = reinterpret_cast<Words>(candidates);
  const auto* query_words = reinterpret_cast<Words>(queries);
  for (std::int64_t j = 0; j < width; j += kColumns) {
    const std::int64_t columns = width - j < kColumns ? width - j : kColumns;
    for (std::int64_t d = 0; d < padded; d += kMostVecs * kLanes) {
      const std::int64_t vecs = (padded - d) / kLanes < kMostVecs ? (padded - d) / kLanes : kMostVecs;
      const auto some = vecs == 1   ? gradients_of<1>
                        : vecs == 2 ? gradients_of<2>
                        : vecs == 3 ? gradients_of<3>
                                    : gradients_of<4>;
      some(tile_words + j, rows, columns, stride, candidate_words + j / 2 * padded + d, query_words + d, padded,
           grad_queries + d, grad_candidates + j * padded + d);
    }
  }
}

SIMD void column_sums(const float* tile, std::int64_t rows, std::int64_t width, std::int64_t stride,
                      const float* factors, float* sums) {
  const auto* words = reinterpret_cast<Words>(tile);
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  for (std::int64_t r = 0; r < rows; r += 2)
    for (std::int64_t j = 0; j < width; j += kLanes) {
      const __m512i pair = _mm512_loadu_si512(words + (r + 1) * stride + j);
      const __m512 first = _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
      const __m512 second = _mm512_castsi512_ps(_mm512_and_si512(pair, high));
      __m512 sum = _mm512_loadu_ps(sums + j);
      sum = _mm512_fmadd_ps(first, _mm512_set1_ps(factors[r]), sum);
      _mm512_storeu_ps(sums + j, _mm512_fmadd_ps(second, _mm512_set1_ps(factors[r + 1]), sum));
    }
}

}  // namespace

const Kernels kAvx512Bf16 = {"avx512bf16", kLanes, kPanel,       pack_candidates, pack_queries,
                             pack_row_pairs, scores, exponentials, gradients,       column_sums};

}  // namespace shortlist::softmax
#endif
