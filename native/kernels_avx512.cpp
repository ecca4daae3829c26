// The kernels for AVX-512 with VNNI: 16 floats, or 64 products of bytes, an instruction.
#include "kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni,avx2,fma")))

namespace shortlist {
namespace {

constexpr int kTileRows = 8;  // with two panels: 16 accumulators, enough to hide the latency of an FMA

AVX512 inline double sum_lanes(__m512d low, __m512d high) {
  const __m512d eight = _mm512_add_pd(low, high);
  const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

AVX512 inline __mmask16 first_lanes(std::int64_t count) {
  return count >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << count) - 1);
}

AVX512 inline __m512d low_half(__m512 x) { return _mm512_cvtps_pd(_mm512_castps512_ps256(x)); }
AVX512 inline __m512d high_half(__m512 x) {
  return _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1)));
}

AVX512 double dot(const float* a, const float* b, std::int64_t dim) {
  __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
  for (std::int64_t j = 0; j < dim; j += 16) {
    const __mmask16 mask = first_lanes(dim - j);
    const __m512 x = _mm512_maskz_loadu_ps(mask, a + j), y = _mm512_maskz_loadu_ps(mask, b + j);
    low = _mm512_fmadd_pd(low_half(x), low_half(y), low);
    high = _mm512_fmadd_pd(high_half(x), high_half(y), high);
  }
  return sum_lanes(low, high);
}

AVX512 double squared_distance(const float* a, const float* b, std::int64_t dim) {
  __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
  for (std::int64_t j = 0; j < dim; j += 16) {
    const __mmask16 mask = first_lanes(dim - j);
    const __m512 x = _mm512_maskz_loadu_ps(mask, a + j), y = _mm512_maskz_loadu_ps(mask, b + j);
    const __m512d d0 = _mm512_sub_pd(low_half(x), low_half(y)), d1 = _mm512_sub_pd(high_half(x), high_half(y));
    low = _mm512_add_pd(low, _mm512_mul_pd(d0, d0));  // not fused: a square is not exact in double
    high = _mm512_add_pd(high, _mm512_mul_pd(d1, d1));
  }
  return sum_lanes(low, high);
}

inline int spread(unsigned mask, int row, int first_lane, Hit* hits) {
  int found = 0;
  for (; mask != 0; mask &= mask - 1)
    hits[found++] = {static_cast<std::uint16_t>(row), static_cast<std::uint16_t>(first_lane + __builtin_ctz(mask))};
  return found;
}

template <int kRows, int kPanels>
AVX512 inline int band_tile(const float* rows, std::int64_t dim, int first_row, const float* packed, const float* low,
                            const float* high, std::int64_t* above, Hit* hits) {
  __m512 sums[kRows][kPanels];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) sums[r][p] = _mm512_setzero_ps();
  const float* base = rows + first_row * dim;
  for (std::int64_t j = 0; j < dim; ++j) {
    __m512 query[kPanels];
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) query[p] = _mm512_loadu_ps(packed + (p * dim + j) * kPanel);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512 value = _mm512_set1_ps(base[r * dim + j]);
#pragma GCC unroll 2
      for (int p = 0; p < kPanels; ++p) sums[r][p] = _mm512_fmadd_ps(value, query[p], sums[r][p]);
    }
  }
  int found = 0;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
      const __mmask16 kept =
          _mm512_cmp_ps_mask(sums[r][p], _mm512_loadu_ps(low + p * kPanel), _CMP_NLT_UQ);
      if (kept == 0) continue;
      const __mmask16 sure = _mm512_cmp_ps_mask(sums[r][p], _mm512_loadu_ps(high + p * kPanel), _CMP_GT_OQ);
      for (unsigned mask = sure; mask != 0; mask &= mask - 1) ++above[p * kPanel + __builtin_ctz(mask)];
      found += spread(kept & ~sure, first_row + r, p * kPanel, hits + found);
    }
  return found;
}

template <int kPanels>
AVX512 int band(const float* rows, std::int64_t dim, int count, const float* packed, const float* low,
                const float* high, std::int64_t* above, Hit* hits) {
  int found = 0, r = 0;
  for (; r + kTileRows <= count; r += kTileRows)
    found += band_tile<kTileRows, kPanels>(rows, dim, r, packed, low, high, above, hits + found);
  for (; r < count; ++r) found += band_tile<1, kPanels>(rows, dim, r, packed, low, high, above, hits + found);
  return found;
}

int band_panels(const float* rows, std::int64_t dim, int count, const float* packed, int panels, const float* low,
                const float* high, std::int64_t* above, Hit* hits) {
  return panels == 1 ? band<1>(rows, dim, count, packed, low, high, above, hits)
                     : band<2>(rows, dim, count, packed, low, high, above, hits);
}

AVX512 int at_least_row(const float* rows, std::int64_t dim, int count, const float* query, float low, Hit* hits) {
  int found = 0;
  for (int r = 0; r < count; ++r) {
    const float* row = rows + r * dim;
    __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
    std::int64_t j = 0;
    for (; j + 32 <= dim; j += 32) {
      even = _mm512_fmadd_ps(_mm512_loadu_ps(row + j), _mm512_loadu_ps(query + j), even);
      odd = _mm512_fmadd_ps(_mm512_loadu_ps(row + j + 16), _mm512_loadu_ps(query + j + 16), odd);
    }
    for (; j < dim; j += 16) {
      const __mmask16 mask = first_lanes(dim - j);
      even = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, row + j), _mm512_maskz_loadu_ps(mask, query + j), even);
    }
    if (!(_mm512_reduce_add_ps(_mm512_add_ps(even, odd)) < low)) hits[found++] = {static_cast<std::uint16_t>(r), 0};
  }
  return found;
}

template <int kPanels>
AVX512 int code_block(const std::uint8_t* rows, std::int64_t stride, const std::int8_t* packed,
                      const std::int32_t* low, Hit* hits) {
  __m512i bound[kPanels];
  for (int p = 0; p < kPanels; ++p) bound[p] = _mm512_loadu_si512(low + p * kPanel);
  int found = 0;
  for (int first = 0; first < kBlockRows; first += kTileRows) {
    const std::uint8_t* base = rows + first * stride;
    __m512i sums[kTileRows][kPanels];
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
      for (int p = 0; p < kPanels; ++p) sums[r][p] = _mm512_setzero_si512();
    for (std::int64_t j = 0; j < stride; j += 4) {
      __m512i query[kPanels];
#pragma GCC unroll 2
      for (int p = 0; p < kPanels; ++p) query[p] = _mm512_loadu_si512(packed + (p * stride + j) * kPanel);
#pragma GCC unroll 8
      for (int r = 0; r < kTileRows; ++r) {
        std::int32_t four;
        __builtin_memcpy(&four, base + r * stride + j, 4);
        const __m512i value = _mm512_set1_epi32(four);
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) sums[r][p] = _mm512_dpbusd_epi32(sums[r][p], value, query[p]);
      }
    }
    // Almost every tile holds no hit, so one comparison of the rows' maximum settles it.
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
      __m512i most = sums[0][p];
#pragma GCC unroll 8
      for (int r = 1; r < kTileRows; ++r) most = _mm512_max_epi32(most, sums[r][p]);
      if (_mm512_cmpge_epi32_mask(most, bound[p]) == 0) [[likely]] continue;
#pragma GCC unroll 8
      for (int r = 0; r < kTileRows; ++r)
        found += spread(_mm512_cmpge_epi32_mask(sums[r][p], bound[p]), first + r, p * kPanel, hits + found);
    }
  }
  return found;
}

int code_panels(const std::uint8_t* rows, std::int64_t stride, const std::int8_t* packed, int panels,
                const std::int32_t* low, Hit* hits) {
  return panels == 1 ? code_block<1>(rows, stride, packed, low, hits)
                     : code_block<2>(rows, stride, packed, low, hits);
}

// Sums of the lanes of 16 registers, in the order of the registers up to `kOrder`: each step interleaves two
// registers and adds, which halves their number.
AVX512 inline __m512i sum_sixteen(__m512i* x) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
    x[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]), _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]));
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    x[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(x[2 * i], x[2 * i + 1]), _mm512_unpackhi_epi64(x[2 * i], x[2 * i + 1]));
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i)
    x[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(x[2 * i], x[2 * i + 1], 0x88), _mm512_shuffle_i32x4(x[2 * i], x[2 * i + 1], 0xdd));
  return _mm512_add_epi32(_mm512_shuffle_i32x4(x[0], x[1], 0x88), _mm512_shuffle_i32x4(x[0], x[1], 0xdd));
}

AVX512 int code_row(const std::uint8_t* rows, std::int64_t stride, const std::int8_t* query, std::int32_t low,
                    Hit* hits) {
  const __m512i bound = _mm512_set1_epi32(low);
  int found = 0;
  for (int first = 0; first < kBlockRows; first += 16) {
    const std::uint8_t* base = rows + first * stride;
    __m512i sums[16];
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) sums[r] = _mm512_setzero_si512();
    for (std::int64_t j = 0; j < stride; j += 64) {
      const __mmask64 mask = stride - j >= 64 ? ~__mmask64{0} : (__mmask64{1} << (stride - j)) - 1;
      const __m512i codes = _mm512_maskz_loadu_epi8(mask, query + j);
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r)
        sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_maskz_loadu_epi8(mask, base + r * stride + j), codes);
    }
    found += spread(_mm512_cmpge_epi32_mask(sum_sixteen(sums), bound), first, 0, hits + found);
    for (int h = found - 1; h >= 0 && hits[h].row == first; --h) {
      hits[h] = {static_cast<std::uint16_t>(first + hits[h].lane), 0};
      if (hits[h].row == first) break;
    }
  }
  return found;
}

}  // namespace

const Kernels kAvx512 = {"avx512",    127,          dot,         squared_distance,
                         band_panels, at_least_row, code_panels, code_row};

}  // namespace shortlist
#endif
