// The kernels in terms of vectors of LANES floats; each instruction set includes this file with LANES and SIMD, the
// target of its functions, of its own.
#include <algorithm>
#include <cstdint>

#include "kernels.hpp"

namespace shortlist::training {
namespace {

#include "../vectors.inl"

constexpr int kTileRows = LANES == 16 ? 8 : 4;  // whose sums stay in registers, beside a row of the panel
constexpr int kTileVecs = 3;
constexpr std::int64_t kPanel = kTileVecs * LANES;
static_assert(kRowGroup % kTileRows == 0 && kRoom % kTileRows == 0 && kRoom % LANES == 0);

typedef float Column __attribute__((vector_size(kTileRows * 4)));
typedef float UnalignedColumn __attribute__((vector_size(kTileRows * 4), aligned(4), may_alias));

INLINE Column load_column(const float* from) { return *reinterpret_cast<const UnalignedColumn*>(from); }

enum class End { kPlain, kPositive, kAdd, kGate };

// What a tile starts from and what it goes through.
struct Around {
  const float* bias;
  Gate gate;
};

template <int kVecs, End kEnd>
SIMD void tile(Source from, std::int64_t inputs, const float* panel, const Around& around, Target to) {
  Vec sums[kTileRows][kVecs];
  UNROLLED for (int v = 0; v < kVecs; ++v) {
    const Vec start = around.bias == nullptr ? Vec{} : load(around.bias + v * LANES);
    UNROLLED for (int r = 0; r < kTileRows; ++r) sums[r][v] = start;
  }
  for (std::int64_t k = 0; k < inputs; ++k, panel += kVecs * LANES) {
    Vec some[kVecs];
    UNROLLED for (int v = 0; v < kVecs; ++v) some[v] = load(panel + v * LANES);
    UNROLLED for (int r = 0; r < kTileRows; ++r) {
      const float value = from.data[r * from.stride + k];
      UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] += some[v] * value;
    }
  }
  UNROLLED for (int r = 0; r < kTileRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) {
      float* place = to.row(r) + v * LANES;
      Vec value = sums[r][v];
      if constexpr (kEnd == End::kPositive) value = value > 0.0f ? value : Vec{};
      if constexpr (kEnd == End::kAdd) value += load(place);
      if constexpr (kEnd == End::kGate)
        value = load(around.gate.where.row(r) + v * LANES) > 0.0f ? value * around.gate.factor : Vec{};
      store(place, value);
    }
}

// Panel by panel, so that one stays near while all rows meet it.
template <End kEnd>
SIMD void product(std::int64_t rows, Source from, const Panels& matrix, const Around& around, Target to) {
  for (std::int64_t column = 0; column < matrix.outputs; column += kPanel) {
    const std::int64_t vecs = std::min(kPanel, matrix.outputs - column) / LANES;
    const auto some = vecs == 1 ? tile<1, kEnd> : vecs == 2 ? tile<2, kEnd> : tile<3, kEnd>;
    const float* panel = matrix.data + column * matrix.inputs;
    Around here{around.bias == nullptr ? nullptr : around.bias + column, around.gate};
    for (std::int64_t row = 0; row < rows; row += kTileRows) {
      if constexpr (kEnd == End::kGate)
        here.gate.where = {around.gate.where.row(row) + column, around.gate.where.stride};
      some({from.row(row), from.stride}, matrix.inputs, panel, here, {to.row(row) + column, to.stride});
    }
  }
}

SIMD void multiply(std::int64_t rows, Source from, const Panels& matrix, const float* bias, Target to) {
  product<End::kPlain>(rows, from, matrix, {bias, {}}, to);
}

SIMD void multiply_positive(std::int64_t rows, Source from, const Panels& matrix, const float* bias, Target to) {
  product<End::kPositive>(rows, from, matrix, {bias, {}}, to);
}

SIMD void multiply_add(std::int64_t rows, Source from, const Panels& matrix, Target to) {
  product<End::kAdd>(rows, from, matrix, {nullptr, {}}, to);
}

SIMD void multiply_gated(std::int64_t rows, Source from, const Panels& matrix, const Gate& gate, Target to) {
  product<End::kGate>(rows, from, matrix, {nullptr, gate}, to);
}

// The sums of a tile start anew and are added to those of earlier rows at the end, which keeps long sums exact.
template <int kVecs, bool kSums>
SIMD void outer_tile(std::int64_t rows, Source left, Source right, float* sums_of_left, Target to) {
  Vec sums[kTileRows][kVecs] = {};
  Column column = {};
  for (std::int64_t row = 0; row < rows; ++row) {
    if constexpr (kSums) column += load_column(left.data);
    Vec some[kVecs];
    UNROLLED for (int v = 0; v < kVecs; ++v) some[v] = load(right.data + v * LANES);
    UNROLLED for (int r = 0; r < kTileRows; ++r) {
      const float value = left.data[r];
      UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] += some[v] * value;
    }
    left.data += left.stride;
    right.data += right.stride;
  }
  UNROLLED for (int r = 0; r < kTileRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) {
      float* place = to.row(r) + v * LANES;
      store(place, load(place) + sums[r][v]);
    }
  if constexpr (kSums)
    for (int r = 0; r < kTileRows; ++r) sums_of_left[r] += column[r];
}

template <bool kSums>
SIMD void outer_panel(std::int64_t rows, Source left, std::int64_t height, Source right, std::int64_t vecs,
                      float* sums_of_left, Target to) {
  const auto some = vecs == 1 ? outer_tile<1, kSums> : vecs == 2 ? outer_tile<2, kSums> : outer_tile<3, kSums>;
  for (std::int64_t i = 0; i < height; i += kTileRows)
    some(rows, left.from(i), right, kSums ? sums_of_left + i : nullptr, {to.row(i), to.stride});
}

SIMD void add_outer(std::int64_t rows, Source left, std::int64_t height, Source right, std::int64_t width,
                    float* sums_of_left, Target to) {
  for (std::int64_t column = 0; column < width; column += kPanel) {
    const std::int64_t vecs = std::min(kPanel, width - column) / LANES;
    const auto some = column == 0 && sums_of_left != nullptr ? outer_panel<true> : outer_panel<false>;
    some(rows, left, height, right.from(column), vecs, sums_of_left, to.from(column));
  }
}

SIMD void add(std::int64_t count, const float* one, const float* other, float* to) {
  std::int64_t i = 0;
  for (; i + LANES <= count; i += LANES) store(to + i, load(one + i) + load(other + i));
  for (; i < count; ++i) to[i] = one[i] + other[i];
}

SIMD void add_scaled(std::int64_t count, float factor, const float* from, float* to) {
  for (std::int64_t i = 0; i < count; i += LANES) store(to + i, load(to + i) + load(from + i) * factor);
}

SIMD float dot(std::int64_t count, const float* one, const float* other) {
  Vec products = {};
  for (std::int64_t i = 0; i < count; i += LANES) products += load(one + i) * load(other + i);
  return total(products);
}

SIMD void cross(std::int64_t count, const float* base, const float* product, const float* from, float* to) {
  for (std::int64_t i = 0; i < count; i += LANES)
    store(to + i, load(base + i) * load(product + i) + load(from + i));
}

SIMD void uncross(std::int64_t count, const float* base, const float* product, const float* grad, float* grad_base,
                  float* grad_product) {
  for (std::int64_t i = 0; i < count; i += LANES) {
    const Vec own = load(grad + i);
    store(grad_base + i, load(grad_base + i) + own * load(product + i));
    store(grad_product + i, own * load(base + i));
  }
}

SIMD void uncross_first(std::int64_t count, const float* base, const float* product, const float* grad,
                        const float* later, float* grad_base, float* grad_product) {
  for (std::int64_t i = 0; i < count; i += LANES) {
    const Vec own = load(grad + i);
    store(grad_base + i, (later == nullptr ? own : own + load(later + i)) + own * load(product + i));
    store(grad_product + i, own * load(base + i));
  }
}

SIMD void gate(std::int64_t count, float factor, const float* from, const float* where, float* to) {
  for (std::int64_t i = 0; i < count; i += LANES)
    store(to + i, load(where + i) > 0.0f ? load(from + i) * factor : Vec{});
}

// The random numbers are those of `kernels/rounding.py`: a mix of the key and the column (lowbias32 of C. Wellons).
SIMD void drop(std::int64_t count, std::uint32_t key, std::uint32_t threshold, float factor, float* values) {
  Whole column;
  for (int lane = 0; lane < LANES; ++lane) column[lane] = static_cast<std::uint32_t>(lane);
  for (std::int64_t i = 0; i < count; i += LANES, column += LANES) {
    Whole random = key ^ (column * 0x9e3779b9u);
    random = (random ^ (random >> 16)) * 0x7feb352du;
    random = (random ^ (random >> 15)) * 0x846ca68bu;
    random ^= random >> 16;
    store(values + i, random >= threshold ? load(values + i) * factor : Vec{});
  }
}

#define TABLE(name)                                                                                               \
  {name, kPanel, multiply, multiply_positive, multiply_add, multiply_gated, add_outer, add, add_scaled, dot, cross, \
   uncross, uncross_first, gate, drop}

}  // namespace
}  // namespace shortlist::training
