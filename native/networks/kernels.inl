// The kernels in terms of vectors of LANES floats; each instruction set includes this file with LANES and SIMD, the
// target of its functions, of its own.
#include <cstdint>

#include "kernels.hpp"

namespace shortlist::networks {
namespace {

#include "../vectors.inl"

constexpr int kTile = LANES == 16 ? 8 : 4;  // rows whose sums stay in registers, beside the weights
static_assert(kRows % kTile == 0 && kRoom % LANES == 0);

enum class End { kNone, kPositive, kCross };

// A tile's columns `column` to `column + kVecs * LANES` of one layer; a cross has a base.
template <int kVecs, End kEnd>
SIMD inline void tile(const Layer& layer, const float* base, const float* from, std::int64_t column, float* to) {
  const std::int64_t width = padded(layer.inputs), wide = padded(layer.outputs);
  const float* bias = layer.weights + layer.inputs * wide + column;
  Vec sums[kTile][kVecs];
  UNROLLED for (int v = 0; v < kVecs; ++v) {
    const Vec start = load(bias + v * LANES);
    UNROLLED for (int r = 0; r < kTile; ++r) sums[r][v] = start;
  }
  const float* weights = layer.weights + column;
  for (std::int64_t k = 0; k < layer.inputs; ++k, weights += wide) {
    Vec some[kVecs];
    UNROLLED for (int v = 0; v < kVecs; ++v) some[v] = load(weights + v * LANES);
    UNROLLED for (int r = 0; r < kTile; ++r) {
      const float value = from[r * width + k];
      UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] += some[v] * value;
    }
  }
  UNROLLED for (int r = 0; r < kTile; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) {
      const std::int64_t place = r * wide + column + v * LANES;
      Vec value = sums[r][v];
      if constexpr (kEnd == End::kCross) value = load(base + place) * value + load(from + place);
      if constexpr (kEnd == End::kPositive) value = value > 0.0f ? value : Vec{};
      store(to + place, value);
    }
}

template <End kEnd>
SIMD inline void rows(const Layer& layer, const float* base, const float* from, float* to) {
  const std::int64_t width = padded(layer.inputs), wide = padded(layer.outputs);
  for (int row = 0; row < kRows; row += kTile) {
    const float* own = kEnd == End::kCross ? base + row * wide : nullptr;
    std::int64_t column = 0;
    for (; column + 2 * LANES <= wide; column += 2 * LANES)
      tile<2, kEnd>(layer, own, from + row * width, column, to + row * wide);
    for (; column < wide; column += LANES)
      tile<1, kEnd>(layer, own, from + row * width, column, to + row * wide);
  }
}

SIMD void linear(const Layer& layer, const float* from, float* to) { rows<End::kNone>(layer, nullptr, from, to); }

SIMD void hidden(const Layer& layer, const float* from, float* to) { rows<End::kPositive>(layer, nullptr, from, to); }

SIMD void cross(const Layer& layer, const float* base, const float* from, float* to) {
  rows<End::kCross>(layer, base, from, to);
}

SIMD void output(const Layer& layer, const float* from, float* scores) {
  const std::int64_t width = padded(layer.inputs);
  for (int row = 0; row < kRows; ++row, from += width) {
    Vec products = {};
    for (std::int64_t k = 0; k < width; k += LANES) products += load(from + k) * load(layer.weights + k);
    scores[row] = total(products) + layer.weights[width];
  }
}

}  // namespace
}  // namespace shortlist::networks
