// The kernels for AVX2: 32 products of bytes in three instructions.
#include "kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#include "encode.hpp"

#define AVX2 __attribute__((target("avx2,fma")))

namespace shortlist {
namespace {

constexpr int kTileRows = 4;  // with the two halves of a panel: 8 sums, all that 16 registers leave room for

// Lanes 0..3, 4..7, 8..11 and 12..15 of the order that `dot` sums in.
struct Sixteen {
  __m256d part[4];
};

AVX2 inline double sum_lanes(const Sixteen& x) {
  const __m256d four = _mm256_add_pd(_mm256_add_pd(x.part[0], x.part[2]), _mm256_add_pd(x.part[1], x.part[3]));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

AVX2 inline __m256d four_doubles(const float* x) { return _mm256_cvtps_pd(_mm_loadu_ps(x)); }

AVX2 inline void add_products(Sixteen& sum, const float* a, const float* b) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    sum.part[i] = _mm256_fmadd_pd(four_doubles(a + 4 * i), four_doubles(b + 4 * i), sum.part[i]);
}

AVX2 inline void add_squares(Sixteen& sum, const float* a, const float* b) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m256d difference = _mm256_sub_pd(four_doubles(a + 4 * i), four_doubles(b + 4 * i));
    sum.part[i] = _mm256_add_pd(sum.part[i], _mm256_mul_pd(difference, difference));  // a square is not exact
  }
}

// Sums `add` over the rows, sixteen at a time; what is left is padded with zeros, which change no sum.
template <void (*add)(Sixteen&, const float*, const float*)>
AVX2 inline double accumulate(const float* a, const float* b, std::int64_t dim) {
  Sixteen sum = {{_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()}};
  std::int64_t j = 0;
  for (; j + 16 <= dim; j += 16) add(sum, a + j, b + j);
  if (j < dim) {
    float rest_a[16] = {}, rest_b[16] = {};
    __builtin_memcpy(rest_a, a + j, static_cast<std::size_t>(dim - j) * 4);
    __builtin_memcpy(rest_b, b + j, static_cast<std::size_t>(dim - j) * 4);
    add(sum, rest_a, rest_b);
  }
  return sum_lanes(sum);
}

AVX2 double dot(const float* a, const float* b, std::int64_t dim) { return accumulate<add_products>(a, b, dim); }

AVX2 double squared_distance(const float* a, const float* b, std::int64_t dim) {
  return accumulate<add_squares>(a, b, dim);
}

AVX2 std::uint32_t largest_magnitude(const float* row, std::int64_t dim) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i most = _mm256_setzero_si256();
  std::int64_t j = 0;
  for (; j + 8 <= dim; j += 8) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + j));
    most = _mm256_max_epu32(most, _mm256_and_si256(bits, magnitude));
  }
  alignas(32) std::uint32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), most);
  return std::max(*std::max_element(lanes, lanes + 8), plain_largest_magnitude(row + j, dim - j));
}

AVX2 RowSums encode_row(const float* row, std::int64_t dim, float inverse_scale, std::uint8_t* codes) {
  const __m256 factor = _mm256_set1_ps(inverse_scale);
  __m256 lost = _mm256_setzero_ps(), kept = _mm256_setzero_ps();
  std::int64_t j = 0;
  for (; j + 8 <= dim; j += 8) {
    const __m256 exact = _mm256_mul_ps(_mm256_loadu_ps(row + j), factor);
    const __m256i code = _mm256_cvtps_epi32(exact);
    const __m256 rounded = _mm256_cvtepi32_ps(code), rest = _mm256_sub_ps(exact, rounded);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(code), _mm256_extracti128_si256(code, 1));
    const __m128i bytes = _mm_packs_epi16(words, words);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(codes + j), _mm_xor_si128(bytes, _mm_set1_epi8(-128)));  // + 128
    lost = _mm256_fmadd_ps(rest, rest, lost);
    kept = _mm256_fmadd_ps(rounded, rounded, kept);
  }
  RowSums sums = plain_encode_row(row + j, dim - j, inverse_scale, codes + j);
  alignas(32) float lanes[2][8];
  _mm256_store_ps(lanes[0], lost);
  _mm256_store_ps(lanes[1], kept);
  for (int i = 0; i < 8; ++i) {
    sums.lost += lanes[0][i];
    sums.kept += lanes[1][i];
  }
  return sums;
}

AVX2 inline __m256i add_byte_products(__m256i sum, __m256i rows, __m256i query) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(rows, query), _mm256_set1_epi16(1)));
}

AVX2 inline int spread(unsigned mask, __m256i sums, int row, int first_lane, Hit* hits) {
  alignas(32) std::int32_t values[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(values), sums);
  int found = 0;
  for (; mask != 0; mask &= mask - 1) {
    const int lane = __builtin_ctz(mask);
    hits[found++] = {static_cast<std::uint16_t>(row), static_cast<std::uint16_t>(first_lane + lane), values[lane]};
  }
  return found;
}

AVX2 inline unsigned reached(__m256i sums, __m256i low) {
  const __m256i below = _mm256_cmpgt_epi32(low, sums);
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(below))) ^ 0xffu;
}

// One panel of 16 queries against the block.
AVX2 inline int code_panel(const CodeBlock& block, const std::int8_t* codes, const std::int32_t* start,
                           const std::int32_t* thresholds, int first_lane, Hit* hits) {
  const std::int64_t stride = block.stride;
  __m256i low[2];
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) low[h] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(thresholds + 8 * h));
  int found = 0;
  for (int first = 0; first < kBlockRows; first += kTileRows) {
    const unsigned allowed = block.allowed >> first & 0xf;
    if (allowed == 0) continue;
    const std::uint8_t* base = block.codes + first * stride;
    prefetch_ahead(base, kTileRows * stride);
    __m256i sums[kTileRows][2];
#pragma GCC unroll 4
    for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) sums[r][h] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(start + 8 * h));
    for (std::int64_t j = 0; j < stride; j += 4) {
      const __m256i* query = reinterpret_cast<const __m256i*>(codes + j * kPanel);
      const __m256i query0 = _mm256_loadu_si256(query), query1 = _mm256_loadu_si256(query + 1);
#pragma GCC unroll 4
      for (int r = 0; r < kTileRows; ++r) {
        std::int32_t four;
        __builtin_memcpy(&four, base + r * stride + j, 4);
        const __m256i value = _mm256_set1_epi32(four);
        sums[r][0] = add_byte_products(sums[r][0], value, query0);
        sums[r][1] = add_byte_products(sums[r][1], value, query1);
      }
    }
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h)
#pragma GCC unroll 4
      for (int r = 0; r < kTileRows; ++r) {
        const unsigned mask = reached(sums[r][h], low[h]);
        if (mask != 0 && (allowed >> r & 1) != 0) [[unlikely]]
          found += spread(mask, sums[r][h], first + r, first_lane + 8 * h, hits + found);
      }
  }
  return found;
}

AVX2 int code_panels(const CodeBlock& block, const CodeQueries& queries, int panels, Hit* hits) {
  std::int32_t low[kLanes];
  for (int i = 0; i < panels * kPanel; ++i)
    low[i] = clamp_threshold(
        code_threshold(block, queries.bound[i], queries.square[i], queries.residual[i], queries.norm[i]));
  int found = 0;
  for (int p = 0; p < panels; ++p)
    found += code_panel(block, queries.codes + p * block.stride * kPanel, queries.start + p * kPanel,
                        low + p * kPanel, p * kPanel, hits + found);
  return found;
}

// Sums of the lanes of 8 registers; lane i of the result is the sum of register i.
AVX2 inline __m256i sum_eight(const __m256i* x) {
  const __m256i low = _mm256_hadd_epi32(_mm256_hadd_epi32(x[0], x[1]), _mm256_hadd_epi32(x[2], x[3]));
  const __m256i high = _mm256_hadd_epi32(_mm256_hadd_epi32(x[4], x[5]), _mm256_hadd_epi32(x[6], x[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

AVX2 inline std::int32_t tail_sum(const std::uint8_t* row, const std::int8_t* query, std::int64_t from,
                                  std::int64_t stride) {
  std::int32_t sum = 0;
  for (std::int64_t j = from; j < stride; ++j) sum += row[j] * query[j];
  return sum;
}

AVX2 int code_row(const CodeBlock& block, const CodeQueries& query, Hit* hits) {
  const __m256i low = _mm256_set1_epi32(clamp_threshold(
      code_threshold(block, query.bound[0], query.square[0], query.residual[0], query.norm[0])));
  const std::int64_t stride = block.stride, whole = stride / 32 * 32;
  int found = 0;
  for (int first = 0; first < kBlockRows; first += 8) {
    const unsigned allowed = block.allowed >> first & 0xff;
    if (allowed == 0) continue;
    const std::uint8_t* base = block.codes + first * stride;
    prefetch_ahead(base, 8 * stride);
    __m256i sums[8];
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r) sums[r] = _mm256_setzero_si256();
    for (std::int64_t j = 0; j < whole; j += 32) {
      const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query.codes + j));
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r) {
        const __m256i row = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(base + r * stride + j));
        sums[r] = add_byte_products(sums[r], row, codes);
      }
    }
    alignas(32) std::int32_t rest[8];
    for (int r = 0; r < 8; ++r) rest[r] = query.start[0] + tail_sum(base + r * stride, query.codes, whole, stride);
    const __m256i sum = _mm256_add_epi32(sum_eight(sums), _mm256_load_si256(reinterpret_cast<const __m256i*>(rest)));
    const unsigned mask = reached(sum, low) & allowed;
    if (mask == 0) [[likely]] continue;
    alignas(32) std::int32_t values[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(values), sum);
    for (unsigned left = mask; left != 0; left &= left - 1) {
      const int r = __builtin_ctz(left);
      hits[found++] = {static_cast<std::uint16_t>(first + r), 0, values[r]};
    }
  }
  return found;
}

}  // namespace

const Kernels kAvx2 = {
    "avx2", 64, dot, squared_distance, encode_rows<largest_magnitude, encode_row>, code_panels, code_row};

}  // namespace shortlist
#endif
