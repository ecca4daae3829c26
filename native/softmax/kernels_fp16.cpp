// The kernels of the fused softmax for AVX-512 with the two products of the gradients in float16, which its
// AVX512_FP16 multiplies and adds 32 at a time. Scores stay float32: at a low temperature they need the digits.
//
// float16 has a short range, so candidates and queries are packed as multiples of their largest number, and short
// sums of it, over the columns that are near or the rows of a tile, are added up in float32. Exponentials are at
// most 1; each fills both halves of its score's place, since a processor spreads 32 bits over a vector for free.
#if defined(__x86_64__)
// GCC 12 warns about its own intrinsics.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define LANES 16
#define WIDE true
#define SIMD __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,avx2,fma")))
#include "exponentials_avx512.inl"
#include "kernels.inl"

namespace shortlist::softmax {
namespace {

constexpr int kHalves = 32;                   // of a vector: widths of embeddings are padded to it
constexpr std::int64_t kNearColumns = 128;    // that both gradients read while they are near

typedef std::uint32_t Word __attribute__((may_alias));
using Words = const Word*;

SIMD Normaliser twin_exponentials(float* row, std::int64_t width, float at_least) {
  const float largest = largest_of(row, width, at_least);
  __m512 sums[kPanelVecs];
  UNROLLED for (int v = 0; v < kPanelVecs; ++v) sums[v] = _mm512_setzero_ps();
  const __m512i twice = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5,
                                         4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
  for (std::int64_t j = 0; j < width; j += kPanel)
    UNROLLED for (int v = 0; v < kPanelVecs; ++v) {
      float* place = row + j + v * LANES;
      const __m512 value = rough_exponential(_mm512_sub_ps(_mm512_loadu_ps(place), _mm512_set1_ps(largest)));
      sums[v] = _mm512_add_ps(sums[v], value);
      const __m512i halves = _mm512_castsi256_si512(_mm256_castph_si256(_mm512_cvtxps_ph(value)));
      _mm512_storeu_si512(place, _mm512_permutexvar_epi16(twice, halves));
    }
  const __m512 sum = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
  return {largest, _mm512_reduce_add_ps(sum)};
}

SIMD void twin_rows(float* rows, std::int64_t width, std::int64_t stride, Normaliser* found) {
  for (int r = 0; r < 2; ++r) found[r] = twin_exponentials(rows + r * stride, width, found[r].largest);
}

// Halves of the numbers over their largest, which is returned.
SIMD float pack_halves(const float* rows, std::int64_t count, std::int64_t padded, float* packed) {
  __m512 most = _mm512_set1_ps(1e-30f);  // of zeros, and of numbers so small that the inverse would overflow
  for (std::int64_t i = 0; i < count * padded; i += LANES)
    most = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(rows + i)), most);
  const float unit = _mm512_reduce_max_ps(most);
  const __m512 inverse = _mm512_set1_ps(1 / unit);
  auto* out = reinterpret_cast<char*>(packed);
  for (std::int64_t i = 0; i < count * padded; i += LANES)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 2 * i),
                        _mm256_castph_si256(_mm512_cvtxps_ph(_mm512_mul_ps(_mm512_loadu_ps(rows + i), inverse))));
  return unit;
}

SIMD float pack_half_candidates(const float* rows, std::int64_t width, std::int64_t padded, float* panels,
                                float* packed) {
  pack_candidates(rows, width, padded, panels, packed);
  return pack_halves(rows, width, padded, packed);
}

template <int kRows, int kVecs>
INLINE void clear(__m512h (&sums)[kRows][kVecs]) {
  UNROLLED for (int r = 0; r < kRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] = _mm512_setzero_ph();
}

template <int kRows, int kVecs>
INLINE void add_to(const __m512h (&sums)[kRows][kVecs], float unit, std::int64_t padded, float* to) {
  const __m512 factor = _mm512_set1_ps(unit);
  UNROLLED for (int r = 0; r < kRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) {
      const __m512i both = _mm512_castph_si512(sums[r][v]);
      const __m512 low = _mm512_cvtxph_ps(_mm256_castsi256_ph(_mm512_castsi512_si256(both)));
      const __m512 high = _mm512_cvtxph_ps(_mm256_castsi256_ph(_mm512_extracti64x4_epi64(both, 1)));
      float* place = to + r * padded + v * kHalves;
      _mm512_storeu_ps(place, _mm512_fmadd_ps(low, factor, _mm512_loadu_ps(place)));
      _mm512_storeu_ps(place + LANES, _mm512_fmadd_ps(high, factor, _mm512_loadu_ps(place + LANES)));
    }
}

// Adds the products of a row of halves with as many factors as there are sums.
template <int kRows, int kVecs>
INLINE void add_row(const char* row, Words factors, std::int64_t step, __m512h (&sums)[kRows][kVecs]) {
  __m512h values[kVecs];
  UNROLLED for (int v = 0; v < kVecs; ++v) values[v] = _mm512_loadu_ph(row + v * 2 * kHalves);
  UNROLLED for (int r = 0; r < kRows; ++r) {
    const __m512h factor = _mm512_castsi512_ph(_mm512_set1_epi32(static_cast<int>(factors[r * step])));
    UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] = _mm512_fmadd_ph(values[v], factor, sums[r][v]);
  }
}

// Both gradients for some columns of the tile and kVecs vectors of the embeddings.
template <int kVecs>
SIMD void half_gradients_of(Words tile, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                            const char* candidates, float candidate_unit, const char* queries, float query_unit,
                            std::int64_t padded, float* grad_queries, float* grad_candidates) {
  constexpr int kQueries = kVecs <= 2 ? 12 : 6;
  constexpr int kCandidates = kVecs == 1 ? 16 : kVecs == 2 ? 8 : 4;
  for (std::int64_t r = 0; r < rows; r += kQueries) {
    __m512h sums[kQueries][kVecs];
    clear(sums);
    for (std::int64_t j = 0; j < columns; ++j)
      add_row(candidates + 2 * j * padded, tile + r * stride + j, stride, sums);
    add_to(sums, candidate_unit, padded, grad_queries + r * padded);
  }
  for (std::int64_t j = 0; j < columns; j += kCandidates) {
    __m512h sums[kCandidates][kVecs];
    clear(sums);
    for (std::int64_t r = 0; r < rows; ++r) add_row(queries + 2 * r * padded, tile + r * stride + j, 1, sums);
    add_to(sums, query_unit, padded, grad_candidates + j * padded);
  }
}

SIMD void half_gradients(const float* tile, std::int64_t rows, std::int64_t width, std::int64_t stride,
                         const float* candidates, float candidate_unit, const float* queries, float query_unit,
                         std::int64_t padded, float* grad_queries, float* grad_candidates) {
  const auto* words = reinterpret_cast<Words>(tile);
  const auto* rows_of_candidates = reinterpret_cast<const char*>(candidates);
  const auto* rows_of_queries = reinterpret_cast<const char*>(queries);
  for (std::int64_t j = 0; j < width; j += kNearColumns) {
    const std::int64_t columns = width - j < kNearColumns ? width - j : kNearColumns;
    for (std::int64_t d = 0; d < padded; d += kMostVecs * kHalves) {
      const std::int64_t vecs = (padded - d) / kHalves < kMostVecs ? (padded - d) / kHalves : kMostVecs;
      const auto some = vecs == 1   ? half_gradients_of<1>
                        : vecs == 2 ? half_gradients_of<2>
                        : vecs == 3 ? half_gradients_of<3>
                                    : half_gradients_of<4>;
      some(words + j, rows, columns, stride, rows_of_candidates + 2 * (j * padded + d), candidate_unit,
           rows_of_queries + 2 * d, query_unit, padded, grad_queries + d, grad_candidates + j * padded + d);
    }
  }
}

SIMD void twin_column_sums(const float* tile, std::int64_t rows, std::int64_t width, std::int64_t stride,
                           const float* factors, float* sums) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t j = 0; j < width; j += LANES) {
      const __m256i halves = _mm512_cvtepi32_epi16(_mm512_loadu_si512(tile + r * stride + j));
      const __m512 values = _mm512_cvtxph_ps(_mm256_castsi256_ph(halves));
      _mm512_storeu_ps(sums + j, _mm512_fmadd_ps(values, _mm512_set1_ps(factors[r]), _mm512_loadu_ps(sums + j)));
    }
}

}  // namespace

const Kernels kAvx512Fp16 = {"avx512fp16", kHalves, kPanel,    pack_half_candidates, pack_rows,
                             pack_halves,  scores,  twin_rows, half_gradients,       twin_column_sums};

}  // namespace shortlist::softmax
#endif
