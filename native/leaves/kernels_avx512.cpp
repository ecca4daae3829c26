// The kernels of the approximate index for AVX-512 with VNNI.
#include "kernels.hpp"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own intrinsics leave a register undefined on purpose and then warn about it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")))
// Loops over the sums must be gone for the sums to live in registers.
#define UNROLLED _Pragma("GCC unroll 8")

namespace shortlist::leaves {
namespace {

AVX512 inline __m512i four_bytes(const std::int8_t* codes) {
  std::int32_t word;
  std::memcpy(&word, codes, sizeof word);
  return _mm512_set1_epi32(word);
}

// Sixteen sums of four products each. GCC 12 turns the intrinsic, in a loop over many sums, into one copy of a
// register for each product; told that the sum stays where it is, it makes none.
AVX512 inline void add_products(__m512i& sum, __m512i rows, __m512i query) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(rows), "v"(query));
}

// Sums of code products of kQueries queries with kBlocks blocks.
template <int kQueries, int kBlocks>
AVX512 inline void multiply(const Run& run, std::int64_t block, const Query* const* queries,
                            __m512i (&sums)[kQueries][kBlocks]) {
  const std::uint8_t* codes[kBlocks];
  UNROLLED for (int b = 0; b < kBlocks; ++b) codes[b] = run.codes + (block + b) * run.stride * kBlock;
  UNROLLED for (int q = 0; q < kQueries; ++q)
    UNROLLED for (int b = 0; b < kBlocks; ++b) sums[q][b] = _mm512_set1_epi32(queries[q]->start);
  for (std::int64_t j = 0; j < run.stride; j += 4) {
    __m512i rows[kBlocks];
    UNROLLED for (int b = 0; b < kBlocks; ++b) rows[b] = _mm512_loadu_si512(codes[b] + j * kBlock);
    UNROLLED for (int q = 0; q < kQueries; ++q) {
      const __m512i query = four_bytes(queries[q]->codes + j);
      UNROLLED for (int b = 0; b < kBlocks; ++b) add_products(sums[q][b], rows[b], query);
    }
  }
}

AVX512 inline __m512 score(const Run& run, std::int64_t block, const Query& query, __m512i sum) {
  const __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(run.scale + block * kBlock));
  if (run.bias == nullptr) return value;
  return _mm512_fmadd_ps(_mm512_set1_ps(query.weight), _mm512_loadu_ps(run.bias + block * kBlock), value);
}

template <int kQueries, int kBlocks>
AVX512 inline void score_blocks(const Run& run, std::int64_t block, const Query* const* queries, float* out,
                                std::int64_t width) {
  __m512i sums[kQueries][kBlocks];
  multiply(run, block, queries, sums);
  UNROLLED for (int q = 0; q < kQueries; ++q)
    UNROLLED for (int b = 0; b < kBlocks; ++b)
      _mm512_storeu_ps(out + q * width + (block + b) * kBlock, score(run, block + b, *queries[q], sums[q][b]));
}

template <int kQueries>
AVX512 void score_run(const Run& run, const Query* queries, float* out, std::int64_t width) {
  const Query* each[kQueries];
  UNROLLED for (int q = 0; q < kQueries; ++q) each[q] = queries + q;
  std::int64_t block = 0;
  for (; block + 4 <= run.blocks; block += 4) score_blocks<kQueries, 4>(run, block, each, out, width);
  for (; block < run.blocks; ++block) score_blocks<kQueries, 1>(run, block, each, out, width);
}

AVX512 void scores(const Run& run, const Query* queries, int count, float* out, std::int64_t width) {
  for (; count >= 4; count -= 4, queries += 4, out += 4 * width) score_run<4>(run, queries, out, width);
  for (; count > 0; --count, ++queries, out += width) score_run<1>(run, queries, out, width);
}

template <int kQueries, int kBlocks>
AVX512 inline void hit_blocks(const Run& run, std::int64_t block, std::uint32_t place, const Query* const* queries,
                              Hits* const* hits) {
  std::uint32_t allowed[kBlocks], any = 0;
  UNROLLED for (int b = 0; b < kBlocks; ++b) any |= allowed[b] = run.allowed == nullptr ? 0xffffu : run.allowed[block + b];
  if (any == 0) return;
  __m512i sums[kQueries][kBlocks];
  multiply(run, block, queries, sums);
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  UNROLLED for (int q = 0; q < kQueries; ++q) {
    Hits& found = *hits[q];
    const __m512 threshold = _mm512_set1_ps(found.threshold);
    UNROLLED for (int b = 0; b < kBlocks; ++b) {
      const __m512 value = score(run, block + b, *queries[q], sums[q][b]);
      const __mmask16 reached =
          _mm512_mask_cmp_ps_mask(static_cast<__mmask16>(allowed[b]), value, threshold, _CMP_GE_OQ);
      if (reached == 0) continue;
      // Compressed in a register and stored whole: some processors are slow at compressing into memory.
      const auto first = place + static_cast<std::uint32_t>((block + b) * kBlock);
      _mm512_storeu_ps(found.scores + found.count, _mm512_maskz_compress_ps(reached, value));
      _mm512_storeu_si512(found.places + found.count,
                          _mm512_maskz_compress_epi32(
                              reached, _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(first)))));
      found.count += std::popcount(static_cast<std::uint32_t>(reached));
    }
  }
}

template <int kQueries>
AVX512 void hit_run(const Run& run, std::uint32_t place, const Query* const* queries, Hits* const* hits) {
  std::int64_t block = 0;
  for (; block + 4 <= run.blocks; block += 4) hit_blocks<kQueries, 4>(run, block, place, queries, hits);
  switch (run.blocks - block) {
    case 3: return hit_blocks<kQueries, 3>(run, block, place, queries, hits);
    case 2: return hit_blocks<kQueries, 2>(run, block, place, queries, hits);
    case 1: return hit_blocks<kQueries, 1>(run, block, place, queries, hits);
    default: return;
  }
}

AVX512 void hits(const Run& run, std::uint32_t place, const Query* const* queries, Hits* const* found, int count) {
  switch (count) {
    case 4: return hit_run<4>(run, place, queries, found);
    case 3: return hit_run<3>(run, place, queries, found);
    case 2: return hit_run<2>(run, place, queries, found);
    default: return hit_run<1>(run, place, queries, found);
  }
}

AVX512 inline __m512i add_neighbours(__m512i a, __m512i b) {
  return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

// The sum over the lanes of each of four registers.
AVX512 inline __m128i sum_each(const __m512i (&sums)[4]) {
  const __m512i first = add_neighbours(sums[0], sums[1]), last = add_neighbours(sums[2], sums[3]);
  const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(first, last), _mm512_unpackhi_epi64(first, last));
  const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

// Adds the products of the rest of kRows rows, whose codes lie side by side, to their scores.
template <int kRows>
AVX512 inline void complete_rows(const Run& run, std::uint32_t place, const Query& query, const std::uint32_t* places,
                                 float* scores) {
  const std::int8_t* codes = query.codes + run.stride;
  const std::uint8_t* rest[kRows];
  __m512i sums[kRows];
  UNROLLED for (int r = 0; r < kRows; ++r) {
    rest[r] = run.rest + static_cast<std::int64_t>(places[r] - place) * run.rest_stride;
    sums[r] = _mm512_setzero_si512();
  }
  std::int64_t j = 0;
  for (; j + 64 <= run.rest_stride; j += 64) {
    const __m512i some = _mm512_loadu_si512(codes + j);
    UNROLLED for (int r = 0; r < kRows; ++r) add_products(sums[r], _mm512_loadu_si512(rest[r] + j), some);
  }
  if (j < run.rest_stride) {
    const __mmask64 there = ~__mmask64{0} >> (64 - (run.rest_stride - j));
    const __m512i some = _mm512_maskz_loadu_epi8(there, codes + j);
    UNROLLED for (int r = 0; r < kRows; ++r)
      add_products(sums[r], _mm512_maskz_loadu_epi8(there, rest[r] + j), some);
  }
  alignas(16) std::int32_t totals[4];
  if constexpr (kRows == 4)
    _mm_store_si128(reinterpret_cast<__m128i*>(totals), sum_each(sums));
  else
    totals[0] = _mm512_reduce_add_epi32(sums[0]);
  UNROLLED for (int r = 0; r < kRows; ++r)
    scores[r] += run.scale[places[r] - place] * static_cast<float>(query.rest_start + totals[r]);
}

AVX512 void complete(const Run& run, std::uint32_t place, const Query& query, const std::uint32_t* places,
                     std::int64_t count, float* scores) {
  std::int64_t i = 0;
  for (; i + 4 <= count; i += 4) complete_rows<4>(run, place, query, places + i, scores + i);
  for (; i < count; ++i) complete_rows<1>(run, place, query, places + i, scores + i);
}

AVX512 float highest(const float* scores, std::int64_t count) {
  __m512 most = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  std::int64_t i = 0;
  // max(a, b) is b when a is NaN.
  for (; i + 16 <= count; i += 16) most = _mm512_max_ps(_mm512_loadu_ps(scores + i), most);
  const __mmask16 rest = static_cast<__mmask16>((1u << (count - i)) - 1);
  most = _mm512_mask_max_ps(most, rest, _mm512_maskz_loadu_ps(rest, scores + i), most);
  return _mm512_reduce_max_ps(most);
}

AVX512 std::int64_t count_reaching(const float* scores, std::int64_t count, float threshold) {
  const __m512 least = _mm512_set1_ps(threshold);
  std::int64_t found = 0, i = 0;
  for (; i + 16 <= count; i += 16)
    found += std::popcount(static_cast<std::uint32_t>(
        _mm512_cmp_ps_mask(_mm512_loadu_ps(scores + i), least, _CMP_GE_OQ)));
  const __mmask16 rest = static_cast<__mmask16>((1u << (count - i)) - 1);
  return found + std::popcount(static_cast<std::uint32_t>(_mm512_mask_cmp_ps_mask(
                     rest, _mm512_maskz_loadu_ps(rest, scores + i), least, _CMP_GE_OQ)));
}

AVX512 float sum_reaching(const float* scores, const float* weights, std::int64_t count, float threshold) {
  const __m512 least = _mm512_set1_ps(threshold);
  __m512 sum = _mm512_setzero_ps();
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    sum = _mm512_mask_add_ps(sum, _mm512_cmp_ps_mask(_mm512_loadu_ps(scores + i), least, _CMP_GE_OQ), sum,
                             _mm512_loadu_ps(weights + i));
  const __mmask16 rest = static_cast<__mmask16>((1u << (count - i)) - 1);
  const __mmask16 good =
      _mm512_mask_cmp_ps_mask(rest, _mm512_maskz_loadu_ps(rest, scores + i), least, _CMP_GE_OQ);
  return _mm512_reduce_add_ps(_mm512_mask_add_ps(sum, good, sum, _mm512_maskz_loadu_ps(rest, weights + i)));
}

AVX512 std::int64_t reaching(const float* scores, std::int64_t count, float threshold, std::uint32_t* places,
                             float* reached) {
  const __m512 least = _mm512_set1_ps(threshold);
  __m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; i += 16) {
    const __mmask16 there = count - i >= 16 ? 0xffff : static_cast<__mmask16>((1u << (count - i)) - 1);
    const __m512 value = _mm512_maskz_loadu_ps(there, scores + i);
    const __mmask16 good = _mm512_mask_cmp_ps_mask(there, value, least, _CMP_GE_OQ);
    if (good != 0) {
      _mm512_storeu_si512(places + found, _mm512_maskz_compress_epi32(good, at));
      _mm512_storeu_ps(reached + found, _mm512_maskz_compress_ps(good, value));
      found += std::popcount(static_cast<std::uint32_t>(good));
    }
    at = _mm512_add_epi32(at, _mm512_set1_epi32(16));
  }
  return found;
}

AVX512 void expect_near(float* scores, const float* spreads, std::int64_t leaves, const Nearness& near) {
  expect_near_each(scores, spreads, leaves, near);
}

// Inner products of kVectors vectors with kRows rows: `out[vector * width + row]`.
template <int kVectors, int kRows>
AVX512 inline void products(const float* vectors, const float* rows, std::int64_t dim, float* out,
                            std::int64_t width) {
  __m512 sums[kVectors][kRows];
  UNROLLED for (int v = 0; v < kVectors; ++v)
    UNROLLED for (int r = 0; r < kRows; ++r) sums[v][r] = _mm512_setzero_ps();
  for (std::int64_t j = 0; j < dim; j += 16) {
    const __mmask16 there = dim - j >= 16 ? 0xffff : static_cast<__mmask16>((1u << (dim - j)) - 1);
    __m512 some[kRows];
    UNROLLED for (int r = 0; r < kRows; ++r) some[r] = _mm512_maskz_loadu_ps(there, rows + r * dim + j);
    UNROLLED for (int v = 0; v < kVectors; ++v) {
      const __m512 values = _mm512_maskz_loadu_ps(there, vectors + v * dim + j);
      UNROLLED for (int r = 0; r < kRows; ++r) sums[v][r] = _mm512_fmadd_ps(values, some[r], sums[v][r]);
    }
  }
  UNROLLED for (int v = 0; v < kVectors; ++v)
    UNROLLED for (int r = 0; r < kRows; ++r) out[v * width + r] = _mm512_reduce_add_ps(sums[v][r]);
}

template <int kVectors>
AVX512 inline void turn_some(const Frame& frame, std::int64_t dim, float* vectors, float* along) {
  constexpr int kWide = kVectors == 1 ? 8 : 2;  // registers of a vector that are held together
  std::int64_t i = 0;
  for (; i + 4 <= frame.turned; i += 4)
    products<kVectors, 4>(vectors, frame.weights + i * dim, dim, along + i, frame.turned);
  for (; i < frame.turned; ++i)
    products<kVectors, 1>(vectors, frame.weights + i * dim, dim, along + i, frame.turned);
  for (std::int64_t j = 0; j < dim; j += 16 * kWide) {
    __mmask16 there[kWide];
    __m512 values[kVectors][kWide];
    UNROLLED for (int r = 0; r < kWide; ++r) {
      there[r] = static_cast<__mmask16>((1u << std::clamp<std::int64_t>(dim - j - 16 * r, 0, 16)) - 1);
      UNROLLED for (int v = 0; v < kVectors; ++v)
        values[v][r] = _mm512_maskz_loadu_ps(there[r], vectors + v * dim + j + 16 * r);
    }
    for (i = 0; i < frame.turned; ++i) {
      UNROLLED for (int r = 0; r < kWide; ++r) {
        const __m512 mirror = _mm512_maskz_loadu_ps(there[r], frame.mirrors + i * dim + j + 16 * r);
        UNROLLED for (int v = 0; v < kVectors; ++v)
          values[v][r] = _mm512_fnmadd_ps(_mm512_set1_ps(along[v * frame.turned + i]), mirror, values[v][r]);
      }
    }
    UNROLLED for (int r = 0; r < kWide; ++r)
      UNROLLED for (int v = 0; v < kVectors; ++v)
        _mm512_mask_storeu_ps(vectors + v * dim + j + 16 * r, there[r], values[v][r]);
  }
}

AVX512 void turn(const Frame& frame, std::int64_t dim, float* vectors, std::int64_t count, float* along) {
  for (; count >= 4; count -= 4, vectors += 4 * dim) turn_some<4>(frame, dim, vectors, along);
  for (; count > 0; --count, vectors += dim) turn_some<1>(frame, dim, vectors, along);
}

}  // namespace

const Kernels kAvx512 = {"avx512", 127, scores, hits, complete, highest, count_reaching, sum_reaching, reaching,
                         expect_near, turn};

}  // namespace shortlist::leaves
#endif
