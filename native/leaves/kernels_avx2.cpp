// The kernels of the approximate index for AVX2: a block of 16 rows is two registers.
#include "kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#include <bit>
#include <cstring>
#include <limits>

#define AVX2 __attribute__((target("avx2,fma")))

namespace shortlist::leaves {
namespace {

AVX2 inline __m256i four_bytes(const std::int8_t* codes) {
  std::int32_t word;
  std::memcpy(&word, codes, sizeof word);
  return _mm256_set1_epi32(word);
}

// Two products of 255 and 63 fit 16 bits, so the pairs do not saturate.
AVX2 inline __m256i add_products(__m256i sum, __m256i rows, __m256i query) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(rows, query), _mm256_set1_epi16(1)));
}

// Scores of kQueries queries with one block, the rows 0..7 and 8..15.
template <int kQueries>
AVX2 inline void score_block(const Run& run, std::int64_t block, const Query* const* queries,
                             __m256 (&values)[kQueries][2]) {
  __m256i sums[kQueries][2];
  for (int q = 0; q < kQueries; ++q) sums[q][0] = sums[q][1] = _mm256_set1_epi32(queries[q]->start);
  const std::uint8_t* codes = run.codes + block * run.stride * kBlock;
  for (std::int64_t j = 0; j < run.stride; j += 4) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + j * kBlock));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + j * kBlock + 32));
#pragma GCC unroll 4
    for (int q = 0; q < kQueries; ++q) {
      const __m256i query = four_bytes(queries[q]->codes + j);
      sums[q][0] = add_products(sums[q][0], low, query);
      sums[q][1] = add_products(sums[q][1], high, query);
    }
  }
  for (int q = 0; q < kQueries; ++q)
    for (int half = 0; half < 2; ++half) {
      const std::int64_t first = block * kBlock + 8 * half;
      const __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[q][half]), _mm256_loadu_ps(run.scale + first));
      values[q][half] = run.bias == nullptr ? value
                                            : _mm256_fmadd_ps(_mm256_set1_ps(queries[q]->weight),
                                                              _mm256_loadu_ps(run.bias + first), value);
    }
}

template <int kQueries>
AVX2 void score_run(const Run& run, const Query* queries, float* out, std::int64_t width) {
  const Query* each[kQueries];
  for (int q = 0; q < kQueries; ++q) each[q] = queries + q;
  __m256 values[kQueries][2];
  for (std::int64_t block = 0; block < run.blocks; ++block) {
    score_block<kQueries>(run, block, each, values);
    for (int q = 0; q < kQueries; ++q)
      for (int half = 0; half < 2; ++half)
        _mm256_storeu_ps(out + q * width + block * kBlock + 8 * half, values[q][half]);
  }
}

AVX2 void scores(const Run& run, const Query* queries, int count, float* out, std::int64_t width) {
  for (; count >= 4; count -= 4, queries += 4, out += 4 * width) score_run<4>(run, queries, out, width);
  for (; count > 0; --count, ++queries, out += width) score_run<1>(run, queries, out, width);
}

template <int kQueries>
AVX2 void hit_run(const Run& run, std::uint32_t place, const Query* const* queries, Hits* const* hits) {
  __m256 values[kQueries][2];
  for (std::int64_t block = 0; block < run.blocks; ++block) {
    const std::uint32_t allowed = run.allowed == nullptr ? 0xffffu : run.allowed[block];
    if (allowed == 0) continue;
    score_block<kQueries>(run, block, queries, values);
    for (int q = 0; q < kQueries; ++q) {
      Hits& found = *hits[q];
      const __m256 threshold = _mm256_set1_ps(found.threshold);
      const auto low = _mm256_movemask_ps(_mm256_cmp_ps(values[q][0], threshold, _CMP_GE_OQ));
      const auto high = _mm256_movemask_ps(_mm256_cmp_ps(values[q][1], threshold, _CMP_GE_OQ));
      std::uint32_t reached = (static_cast<std::uint32_t>(low) | static_cast<std::uint32_t>(high) << 8) & allowed;
      if (reached == 0) continue;
      alignas(32) float value[kBlock];
      _mm256_store_ps(value, values[q][0]);
      _mm256_store_ps(value + 8, values[q][1]);
      for (; reached != 0; reached &= reached - 1) {
        const int row = std::countr_zero(reached);
        found.scores[found.count] = value[row];
        found.places[found.count++] = place + static_cast<std::uint32_t>(block * kBlock + row);
      }
    }
  }
}

AVX2 void hits(const Run& run, std::uint32_t place, const Query* const* queries, Hits* const* found, int count) {
  switch (count) {
    case 4: return hit_run<4>(run, place, queries, found);
    case 3: return hit_run<3>(run, place, queries, found);
    case 2: return hit_run<2>(run, place, queries, found);
    default: return hit_run<1>(run, place, queries, found);
  }
}

// The sum of code products of one row whose codes lie side by side.
AVX2 inline std::int32_t multiply_row(const std::uint8_t* row, const std::int8_t* query, std::int64_t count) {
  __m256i sums = _mm256_setzero_si256();
  std::int64_t j = 0;
  for (; j + 32 <= count; j += 32)
    sums = add_products(sums, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + j)),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + j)));
  alignas(32) std::int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sums);
  std::int32_t sum = 0;
  for (const std::int32_t lane : lanes) sum += lane;
  for (; j < count; ++j) sum += row[j] * query[j];
  return sum;
}

AVX2 void complete(const Run& run, std::uint32_t place, const Query& query, const std::uint32_t* places,
                   std::int64_t count, float* scores) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = places[i] - place;
    const std::int32_t sum = multiply_row(run.rest + row * run.rest_stride, query.codes + run.stride, run.rest_stride);
    scores[i] += run.scale[row] * static_cast<float>(query.rest_start + sum);
  }
}

AVX2 float highest(const float* scores, std::int64_t count) {
  __m256 most = _mm256_set1_ps(-std::numeric_limits<float>::infinity());
  std::int64_t i = 0;
  // max(a, b) is b when a is NaN.
  for (; i + 8 <= count; i += 8) most = _mm256_max_ps(_mm256_loadu_ps(scores + i), most);
  alignas(32) float lanes[8];
  _mm256_store_ps(lanes, most);
  float result = lanes[0];
  for (const float lane : lanes) result = lane > result ? lane : result;
  for (; i < count; ++i) result = scores[i] > result ? scores[i] : result;
  return result;
}

// The compiler makes registers of eight out of these two loops.
AVX2 std::int64_t count_reaching(const float* scores, std::int64_t count, float threshold) {
  std::int32_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) found += scores[i] >= threshold;
  return found;
}

AVX2 float sum_reaching(const float* scores, const float* weights, std::int64_t count, float threshold) {
  float lanes[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += scores[i + lane] >= threshold ? weights[i + lane] : 0.0f;
  for (; i < count; ++i) lanes[0] += scores[i] >= threshold ? weights[i] : 0.0f;
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

AVX2 std::int64_t reaching(const float* scores, std::int64_t count, float threshold, std::uint32_t* places,
                           float* reached) {
  const __m256 least = _mm256_set1_ps(threshold);
  std::int64_t found = 0, i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256 value = _mm256_loadu_ps(scores + i);
    auto good = static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(value, least, _CMP_GE_OQ)));
    for (; good != 0; good &= good - 1) {
      const std::int64_t at = i + std::countr_zero(good);
      places[found] = static_cast<std::uint32_t>(at);
      reached[found++] = scores[at];
    }
  }
  for (; i < count; ++i)
    if (scores[i] >= threshold) {
      places[found] = static_cast<std::uint32_t>(i);
      reached[found++] = scores[i];
    }
  return found;
}

AVX2 void expect_near(float* scores, const float* spreads, std::int64_t leaves, const Nearness& near) {
  expect_near_each(scores, spreads, leaves, near);
}

AVX2 inline float product(const float* a, const float* b, std::int64_t dim) {
  __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  std::int64_t j = 0;
  for (; j + 16 <= dim; j += 16)
    for (int half = 0; half < 2; ++half)
      sums[half] = _mm256_fmadd_ps(_mm256_loadu_ps(a + j + 8 * half), _mm256_loadu_ps(b + j + 8 * half), sums[half]);
  alignas(32) float lanes[8];
  _mm256_store_ps(lanes, _mm256_add_ps(sums[0], sums[1]));
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  for (; j < dim; ++j) sum += a[j] * b[j];
  return sum;
}

AVX2 void turn(const Frame& frame, std::int64_t dim, float* vectors, std::int64_t count, float* along) {
  for (; count > 0; --count, vectors += dim) {
    for (std::int64_t i = 0; i < frame.turned; ++i) along[i] = product(frame.weights + i * dim, vectors, dim);
    subtract_each(frame.mirrors, frame.turned, dim, along, vectors);
  }
}

}  // namespace

const Kernels kAvx2 = {"avx2", 63, scores, hits, complete, highest, count_reaching, sum_reaching, reaching,
                       expect_near, turn};

}  // namespace shortlist::leaves
#endif
