// The kernels of the approximate index in plain C++.
#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels.hpp"

namespace shortlist::leaves {
namespace {

void score_block(const Run& run, std::int64_t block, const Query& query, float* out) {
  std::int32_t sums[kBlock];
  std::fill(sums, sums + kBlock, query.start);
  const std::uint8_t* codes = run.codes + block * run.stride * kBlock;
  for (std::int64_t j = 0; j < run.stride; j += 4, codes += 4 * kBlock)
    for (int row = 0; row < kBlock; ++row)
      for (int i = 0; i < 4; ++i) sums[row] += codes[4 * row + i] * query.codes[j + i];
  const float* scale = run.scale + block * kBlock;
  for (int row = 0; row < kBlock; ++row) out[row] = static_cast<float>(sums[row]) * scale[row];
  if (run.bias == nullptr) return;
  for (int row = 0; row < kBlock; ++row) out[row] += query.weight * run.bias[block * kBlock + row];
}

void scores(const Run& run, const Query* queries, int count, float* out, std::int64_t width) {
  for (std::int64_t block = 0; block < run.blocks; ++block)
    for (int q = 0; q < count; ++q) score_block(run, block, queries[q], out + q * width + block * kBlock);
}

void hits(const Run& run, std::uint32_t place, const Query* const* queries, Hits* const* hits, int count) {
  for (std::int64_t block = 0; block < run.blocks; ++block) {
    const std::uint32_t allowed = run.allowed == nullptr ? 0xffffu : run.allowed[block];
    if (allowed == 0) continue;
    for (int q = 0; q < count; ++q) {
      float value[kBlock];
      score_block(run, block, *queries[q], value);
      Hits& found = *hits[q];
      for (int row = 0; row < kBlock; ++row) {
        if (!(value[row] >= found.threshold) || (allowed >> row & 1) == 0) continue;
        found.scores[found.count] = value[row];
        found.places[found.count++] = place + static_cast<std::uint32_t>(block * kBlock + row);
      }
    }
  }
}

void complete(const Run& run, std::uint32_t place, const Query& query, const std::uint32_t* places,
              std::int64_t count, float* scores) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = places[i] - place;
    const std::uint8_t* rest = run.rest + row * run.rest_stride;
    std::int32_t sum = query.rest_start;
    for (std::int64_t j = 0; j < run.rest_stride; ++j) sum += rest[j] * query.codes[run.stride + j];
    scores[i] += run.scale[row] * static_cast<float>(sum);
  }
}

float highest(const float* scores, std::int64_t count) {
  float most = -std::numeric_limits<float>::infinity();
  for (std::int64_t i = 0; i < count; ++i) most = scores[i] > most ? scores[i] : most;
  return most;
}

std::int64_t count_reaching(const float* scores, std::int64_t count, float threshold) {
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) found += scores[i] >= threshold;
  return found;
}

float sum_reaching(const float* scores, const float* weights, std::int64_t count, float threshold) {
  float sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += scores[i] >= threshold ? weights[i] : 0.0f;
  return sum;
}

std::int64_t reaching(const float* scores, std::int64_t count, float threshold, std::uint32_t* places,
                      float* reached) {
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    places[found] = static_cast<std::uint32_t>(i);
    reached[found] = scores[i];
    found += scores[i] >= threshold;
  }
  return found;
}

void expect_near(float* scores, const float* spreads, std::int64_t leaves, const Nearness& near) {
  expect_near_each(scores, spreads, leaves, near);
}

void turn(const Frame& frame, std::int64_t dim, float* vectors, std::int64_t count, float* along) {
  for (; count > 0; --count, vectors += dim) {
    for (std::int64_t i = 0; i < frame.turned; ++i)
      along[i] = std::inner_product(vectors, vectors + dim, frame.weights + i * dim, 0.0f);
    subtract_each(frame.mirrors, frame.turned, dim, along, vectors);
  }
}

}  // namespace

const Kernels kPortable = {"portable", 127, scores, hits, complete, highest, count_reaching, sum_reaching, reaching,
                           expect_near, turn};

}  // namespace shortlist::leaves
