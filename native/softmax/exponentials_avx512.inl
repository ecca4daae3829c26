// What the AVX-512 kernels with products of 16 bits share; each includes this file with SIMD of its own.
#include <immintrin.h>

#include <cstdint>

namespace shortlist::softmax {
namespace {

constexpr int kTogether = 64;  // scores at a time; the width of a tile is a multiple of it

// 2^x for x <= 0, as in kernels.inl but to six digits: the result is rounded to three anyway.
SIMD inline __attribute__((always_inline)) __m512 rough_exponential(__m512 x) {
  const __m512 round = _mm512_set1_ps(12582912.0f);
  const __m512 shifted = _mm512_add_ps(x, round);
  const __m512 r = _mm512_sub_ps(x, _mm512_sub_ps(shifted, round));
  __m512 p = _mm512_set1_ps(9.618437357674640e-3f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.550332471162809e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.402264791363012e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.931472028550421e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  const __m512i scaled =
      _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(shifted), 23));
  // Not "x >= -125": a NaN passes.
  const __mmask16 counts = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-125.0f), _CMP_NLT_UQ);
  return _mm512_castsi512_ps(_mm512_maskz_mov_epi32(counts, scaled));
}

// The largest of a row and of `at_least`; NaN counts for nothing.
SIMD inline __attribute__((always_inline)) float largest_of(const float* row, std::int64_t width, float at_least) {
  __m512 most[4];
  for (__m512& each : most) each = _mm512_set1_ps(at_least);
  for (std::int64_t j = 0; j < width; j += kTogether)
    for (int v = 0; v < 4; ++v) most[v] = _mm512_max_ps(_mm512_loadu_ps(row + j + v * 16), most[v]);
  return _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(most[0], most[1]), _mm512_max_ps(most[2], most[3])));
}

}  // namespace
}  // namespace shortlist::softmax
