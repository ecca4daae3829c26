// The kernels for AVX-512 with VNNI: 64 products of bytes an instruction.
#include "kernels.hpp"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own intrinsics leave a register undefined on purpose and then warn about it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "encode.hpp"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vnni,avx2,fma")))

namespace shortlist {
namespace {

constexpr int kTileRows = 8;  // with two panels: 16 sums in registers, enough to hide an instruction's latency

AVX512 inline double sum_lanes(__m512d low, __m512d high) {
  const __m512d eight = _mm512_add_pd(low, high);
  const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

// Sixteen products or squared differences in double, lanes 0..7 and 8..15 of the order that all tables sum in.
// Converting halves straight from memory spares the shuffles that splitting a register would take.
AVX512 inline void add_products(__m512d& low, __m512d& high, const float* a, const float* b) {
  low = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm256_loadu_ps(a)), _mm512_cvtps_pd(_mm256_loadu_ps(b)), low);
  high = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm256_loadu_ps(a + 8)), _mm512_cvtps_pd(_mm256_loadu_ps(b + 8)), high);
}

AVX512 inline void add_squares(__m512d& low, __m512d& high, const float* a, const float* b) {
  const __m512d d0 = _mm512_sub_pd(_mm512_cvtps_pd(_mm256_loadu_ps(a)), _mm512_cvtps_pd(_mm256_loadu_ps(b)));
  const __m512d d1 = _mm512_sub_pd(_mm512_cvtps_pd(_mm256_loadu_ps(a + 8)), _mm512_cvtps_pd(_mm256_loadu_ps(b + 8)));
  low = _mm512_add_pd(low, _mm512_mul_pd(d0, d0));  // not fused: a square is not exact in double
  high = _mm512_add_pd(high, _mm512_mul_pd(d1, d1));
}

// Sums `add` over the rows, sixteen at a time; what is left is padded with zeros, which change no sum.
template <void (*add)(__m512d&, __m512d&, const float*, const float*)>
AVX512 inline double accumulate(const float* a, const float* b, std::int64_t dim) {
  __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
  std::int64_t j = 0;
  for (; j + 16 <= dim; j += 16) add(low, high, a + j, b + j);
  if (j < dim) {
    const __mmask16 rest = static_cast<__mmask16>((1u << (dim - j)) - 1);
    alignas(64) float rest_a[16], rest_b[16];
    _mm512_store_ps(rest_a, _mm512_maskz_loadu_ps(rest, a + j));
    _mm512_store_ps(rest_b, _mm512_maskz_loadu_ps(rest, b + j));
    add(low, high, rest_a, rest_b);
  }
  return sum_lanes(low, high);
}

AVX512 double dot(const float* a, const float* b, std::int64_t dim) { return accumulate<add_products>(a, b, dim); }

AVX512 double squared_distance(const float* a, const float* b, std::int64_t dim) {
  return accumulate<add_squares>(a, b, dim);
}

AVX512 inline __mmask16 first_lanes(std::int64_t count) {
  return count >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << count) - 1);
}

AVX512 std::uint32_t largest_magnitude(const float* row, std::int64_t dim) {
  __m512i most = _mm512_setzero_si512();
  for (std::int64_t j = 0; j < dim; j += 16)
    most = _mm512_max_epu32(
        most, _mm512_castps_si512(_mm512_abs_ps(_mm512_maskz_loadu_ps(first_lanes(dim - j), row + j))));
  return _mm512_reduce_max_epu32(most);
}

AVX512 RowSums encode_row(const float* row, std::int64_t dim, float inverse_scale, std::uint8_t* codes) {
  const __m512 factor = _mm512_set1_ps(inverse_scale);
  __m512 lost = _mm512_setzero_ps(), kept = _mm512_setzero_ps();
  for (std::int64_t j = 0; j < dim; j += 16) {
    const __mmask16 mask = first_lanes(dim - j);
    const __m512 exact = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, row + j), factor);
    const __m512i code = _mm512_cvtps_epi32(exact);
    const __m512 rounded = _mm512_cvtepi32_ps(code), rest = _mm512_sub_ps(exact, rounded);
    _mm512_mask_cvtepi32_storeu_epi8(codes + j, mask, _mm512_add_epi32(code, _mm512_set1_epi32(128)));
    lost = _mm512_fmadd_ps(rest, rest, lost);
    kept = _mm512_fmadd_ps(rounded, rounded, kept);
  }
  return {_mm512_reduce_add_ps(lost), _mm512_reduce_add_ps(kept)};
}

// `code_threshold` and `clamp_threshold` for the 16 queries of a panel.
AVX512 inline __m512i thresholds(const CodeBlock& block, const CodeQueries& queries, int first) {
  const __m512 score = _mm512_add_ps(_mm512_loadu_ps(queries.bound + first),
                                     _mm512_mul_ps(_mm512_loadu_ps(queries.square + first),
                                                   _mm512_set1_ps(block.half_square)));
  const __m512 error = _mm512_add_ps(
      _mm512_mul_ps(_mm512_loadu_ps(queries.residual + first), _mm512_set1_ps(block.residual)),
      _mm512_mul_ps(_mm512_loadu_ps(queries.norm + first), _mm512_set1_ps(block.norm)));
  const __m512 least = _mm512_sub_ps(
      _mm512_sub_ps(_mm512_mul_ps(_mm512_set1_ps(block.inverse_scale), score), error), _mm512_set1_ps(1.0f));
  const __m512 limit = _mm512_set1_ps(static_cast<float>(kSumLimit));
  // max returns its second operand for a NaN, which then lets everything pass.
  const __m512 bounded = _mm512_min_ps(_mm512_max_ps(least, _mm512_sub_ps(_mm512_setzero_ps(), limit)), limit);
  return _mm512_cvttps_epi32(bounded);
}

AVX512 inline int spread(__mmask16 mask, __m512i sums, int row, int first_lane, Hit* hits) {
  alignas(64) std::int32_t values[16];
  _mm512_store_si512(values, sums);
  int found = 0;
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    hits[found++] = {static_cast<std::uint16_t>(row), static_cast<std::uint16_t>(first_lane + lane), values[lane]};
  }
  return found;
}

template <int kPanels>
AVX512 int code_block(const CodeBlock& block, const CodeQueries& queries, Hit* hits) {
  const std::int64_t stride = block.stride;
  __m512i low[kPanels], start[kPanels];
#pragma GCC unroll 2
  for (int p = 0; p < kPanels; ++p) {
    low[p] = thresholds(block, queries, p * kPanel);
    start[p] = _mm512_loadu_si512(queries.start + p * kPanel);
  }
  int found = 0;
  for (int first = 0; first < kBlockRows; first += kTileRows) {
    const unsigned allowed = block.allowed >> first & 0xff;
    if (allowed == 0) continue;
    const std::uint8_t* base = block.codes + first * stride;
    prefetch_ahead(base, kTileRows * stride);
    __m512i sums[kTileRows][kPanels];
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
      for (int p = 0; p < kPanels; ++p) sums[r][p] = start[p];
    for (std::int64_t j = 0; j < stride; j += 4) {
      __m512i query[kPanels];
#pragma GCC unroll 2
      for (int p = 0; p < kPanels; ++p) query[p] = _mm512_loadu_si512(queries.codes + (p * stride + j) * kPanel);
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
      if (_mm512_cmpge_epi32_mask(most, low[p]) == 0) [[likely]] continue;
#pragma GCC unroll 8
      for (int r = 0; r < kTileRows; ++r) {
        const __mmask16 mask = _mm512_cmpge_epi32_mask(sums[r][p], low[p]);
        if (mask != 0 && (allowed >> r & 1) != 0)
          found += spread(mask, sums[r][p], first + r, p * kPanel, hits + found);
      }
    }
  }
  return found;
}

AVX512 int code_panels(const CodeBlock& block, const CodeQueries& queries, int panels, Hit* hits) {
  return panels == 1 ? code_block<1>(block, queries, hits) : code_block<2>(block, queries, hits);
}

// Sums of the lanes of 16 registers. Each step interleaves pairs of registers and adds, which halves their
// number; lane i of the result is the sum of register i.
AVX512 inline __m512i sum_sixteen(__m512i* x) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
    x[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]),
                            _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]));
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    x[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(x[2 * i], x[2 * i + 1]),
                            _mm512_unpackhi_epi64(x[2 * i], x[2 * i + 1]));
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i)
    x[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(x[2 * i], x[2 * i + 1], 0x88),
                            _mm512_shuffle_i32x4(x[2 * i], x[2 * i + 1], 0xdd));
  return _mm512_add_epi32(_mm512_shuffle_i32x4(x[0], x[1], 0x88), _mm512_shuffle_i32x4(x[0], x[1], 0xdd));
}

AVX512 int code_row(const CodeBlock& block, const CodeQueries& query, Hit* hits) {
  const __m512i low = _mm512_set1_epi32(clamp_threshold(
      code_threshold(block, query.bound[0], query.square[0], query.residual[0], query.norm[0])));
  const __m512i start = _mm512_set1_epi32(query.start[0]);
  const std::int64_t stride = block.stride;
  int found = 0;
  for (int first = 0; first < kBlockRows; first += 16) {
    const __mmask16 allowed = static_cast<__mmask16>(block.allowed >> first);
    if (allowed == 0) continue;
    const std::uint8_t* base = block.codes + first * stride;
    prefetch_ahead(base, 16 * stride);
    __m512i sums[16];
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) sums[r] = _mm512_setzero_si512();
    for (std::int64_t j = 0; j < stride; j += 64) {
      const __mmask64 mask = stride - j >= 64 ? ~__mmask64{0} : (__mmask64{1} << (stride - j)) - 1;
      const __m512i codes = _mm512_maskz_loadu_epi8(mask, query.codes + j);
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r)
        sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_maskz_loadu_epi8(mask, base + r * stride + j), codes);
    }
    const __m512i sum = _mm512_add_epi32(sum_sixteen(sums), start);
    __mmask16 mask = _mm512_mask_cmpge_epi32_mask(allowed, sum, low);
    if (mask == 0) [[likely]] continue;
    alignas(64) std::int32_t values[16];
    _mm512_store_si512(values, sum);
    for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
      const int r = __builtin_ctz(rest);
      hits[found++] = {static_cast<std::uint16_t>(first + r), 0, values[r]};
    }
  }
  return found;
}

}  // namespace

const Kernels kAvx512 = {
    "avx512", 127, dot, squared_distance, encode_rows<largest_magnitude, encode_row>, code_panels, code_row};

}  // namespace shortlist
#endif
