// The kernels in terms of vectors of LANES floats; each instruction set includes this file with LANES and SIMD, the
// target of its functions, of its own.
#include <algorithm>
#include <cstdint>

#include "kernels.hpp"
#if LANES > 4
#include <immintrin.h>
#endif

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

// The numbers of a row that count: those of a list, or the first `count`.
struct Inputs {
  const std::int32_t* numbers;
  std::int64_t count;
};

INLINE Inputs group_of(const Active& active, std::int64_t number) {
  const std::int64_t group = number / kRowGroup;
  return {active.numbers + group * active.stride, active.counts[group]};
}

template <int kVecs, End kEnd, bool kList>
SIMD void tile(Source from, const Inputs& inputs, const float* panel, const Around& around, Target to) {
  Vec sums[kTileRows][kVecs];
  UNROLLED for (int v = 0; v < kVecs; ++v) {
    const Vec start = around.bias == nullptr ? Vec{} : load(around.bias + v * LANES);
    UNROLLED for (int r = 0; r < kTileRows; ++r) sums[r][v] = start;
  }
  for (std::int64_t i = 0; i < inputs.count; ++i) {
    const std::int64_t k = kList ? inputs.numbers[i] : i;
    Vec some[kVecs];
    UNROLLED for (int v = 0; v < kVecs; ++v) some[v] = load(panel + (k * kVecs + v) * LANES);
    UNROLLED for (int r = 0; r < kTileRows; ++r) {
      const float value = from.data[r * from.stride + k];
      UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] += some[v] * value;
    }
  }
  UNROLLED for (int r = 0; r < kTileRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) {
      float* place = to.row(r) + v * LANES;
      Vec value = sums[r][v];
      if constexpr (kEnd == End::kPositive) value = value < 0.0f ? Vec{} : value;
      if constexpr (kEnd == End::kAdd) value += load(place);
      if constexpr (kEnd == End::kGate)
        value = load(around.gate.where.row(r) + v * LANES) > 0.0f ? value * around.gate.factor : Vec{};
      store(place, value);
    }
}

// Panel by panel, so that one stays near while all rows meet it.
template <End kEnd, bool kList>
SIMD void product(std::int64_t rows, Source from, const Panels& matrix, const Around& around, const Active* active,
                  Target to) {
  for (std::int64_t column = 0; column < matrix.outputs; column += kPanel) {
    const std::int64_t vecs = std::min(kPanel, matrix.outputs - column) / LANES;
    const auto some = vecs == 1   ? tile<1, kEnd, kList>
                      : vecs == 2 ? tile<2, kEnd, kList>
                                  : tile<3, kEnd, kList>;
    const float* panel = matrix.data + column * matrix.inputs;
    Around here{around.bias == nullptr ? nullptr : around.bias + column, around.gate};
    for (std::int64_t row = 0; row < rows; row += kTileRows) {
      Inputs inputs{nullptr, matrix.inputs};
      if constexpr (kList) inputs = group_of(*active, row);
      if constexpr (kEnd == End::kGate)
        here.gate.where = {around.gate.where.row(row) + column, around.gate.where.stride};
      some({from.row(row), from.stride}, inputs, panel, here, {to.row(row) + column, to.stride});
    }
  }
}

[[maybe_unused]] SIMD void multiply(std::int64_t rows, Source from, const Panels& matrix,
                                    const float* bias, const Active* inputs, Target to) {
  const auto run = inputs == nullptr ? product<End::kPlain, false> : product<End::kPlain, true>;
  run(rows, from, matrix, {bias, {}}, inputs, to);
}

[[maybe_unused]] SIMD void multiply_positive(std::int64_t rows, Source from, const Panels& matrix,
                                             const float* bias, const Active* inputs, Target to) {
  const auto run = inputs == nullptr ? product<End::kPositive, false> : product<End::kPositive, true>;
  run(rows, from, matrix, {bias, {}}, inputs, to);
}

[[maybe_unused]] SIMD void multiply_add(std::int64_t rows, Source from, const Panels& matrix, Target to) {
  product<End::kAdd, false>(rows, from, matrix, {nullptr, {}}, nullptr, to);
}

[[maybe_unused]] SIMD void multiply_gated(std::int64_t rows, Source from, const Panels& matrix,
                                          const Gate& gate, const Active* inputs, Target to) {
  const auto run = inputs == nullptr ? product<End::kGate, false> : product<End::kGate, true>;
  run(rows, from, matrix, {nullptr, gate}, inputs, to);
}

// The sums of a tile start anew and are added to those of earlier rows at the end, which keeps long sums exact.
template <int kVecs, bool kList, bool kSums>
SIMD void outer_tile(const Inputs& rows, Source left, Source right, float* sums_of_left, Target to) {
  Vec sums[kTileRows][kVecs] = {};
  Column column = {};
  for (std::int64_t i = 0; i < rows.count; ++i) {
    const std::int64_t row = kList ? rows.numbers[i] : i;
    const float *one = left.row(row), *other = right.row(row);
    if constexpr (kSums) column += load_column(one);
    Vec some[kVecs];
    UNROLLED for (int v = 0; v < kVecs; ++v) some[v] = load(other + v * LANES);
    UNROLLED for (int r = 0; r < kTileRows; ++r) {
      const float value = one[r];
      UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] += some[v] * value;
    }
  }
  UNROLLED for (int r = 0; r < kTileRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) {
      float* place = to.row(r) + v * LANES;
      store(place, load(place) + sums[r][v]);
    }
  if constexpr (kSums)
    for (int r = 0; r < kTileRows; ++r) sums_of_left[r] += column[r];
}

template <bool kList, bool kSums>
SIMD void outer_panel(std::int64_t rows, Source left, std::int64_t height, Source right, std::int64_t vecs,
                      const Active* active, float* sums_of_left, Target to) {
  const auto some = vecs == 1   ? outer_tile<1, kList, kSums>
                    : vecs == 2 ? outer_tile<2, kList, kSums>
                                : outer_tile<3, kList, kSums>;
  for (std::int64_t i = 0; i < height; i += kTileRows) {
    Inputs chosen{nullptr, rows};
    if constexpr (kList) chosen = group_of(*active, i);
    if (chosen.count > 0)
      some(chosen, left.from(i), right, kSums ? sums_of_left + i : nullptr, {to.row(i), to.stride});
  }
}

SIMD void add_outer(std::int64_t rows, Source left, std::int64_t height, Source right, std::int64_t width,
                    const Active* active, float* sums_of_left, Target to) {
  const auto plain = active == nullptr ? outer_panel<false, false> : outer_panel<true, false>;
  const auto with_sums = active == nullptr ? outer_panel<false, true> : outer_panel<true, true>;
  for (std::int64_t column = 0; column < width; column += kPanel) {
    const std::int64_t vecs = std::min(kPanel, width - column) / LANES;
    const auto some = column == 0 && sums_of_left != nullptr ? with_sums : plain;
    some(rows, left, height, right.from(column), vecs, active, sums_of_left, to.from(column));
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
SIMD void drop(std::int64_t count, const std::int32_t* columns, std::uint32_t key, std::uint32_t threshold,
               float factor, float* values) {
  for (std::int64_t i = 0; i < count; i += LANES) {
    const Whole column = __builtin_bit_cast(Whole, load(reinterpret_cast<const float*>(columns) + i));
    Whole random = key ^ (column * 0x9e3779b9u);
    random = (random ^ (random >> 16)) * 0x7feb352du;
    random = (random ^ (random >> 15)) * 0x846ca68bu;
    random ^= random >> 16;
    store(values + i, random >= threshold ? load(values + i) * factor : Vec{});
  }
}

SIMD void find_active(std::int64_t count, const float* values, std::uint8_t* bits) {
#if LANES == 16
  for (std::int64_t i = 0; i < count; i += LANES) {
    const __m512i some = __builtin_bit_cast(__m512i, load(values + i));
    const __mmask16 found = _mm512_test_epi32_mask(some, some);
    bits[i / 8] = static_cast<std::uint8_t>(found);
    bits[i / 8 + 1] = static_cast<std::uint8_t>(found >> 8);
  }
#elif LANES == 8
  for (std::int64_t i = 0; i < count; i += LANES) {
    const __m256i zero = _mm256_cmpeq_epi32(__builtin_bit_cast(__m256i, load(values + i)), _mm256_setzero_si256());
    bits[i / 8] = static_cast<std::uint8_t>(~_mm256_movemask_ps(_mm256_castsi256_ps(zero)));
  }
#else
  for (std::int64_t i = 0; i < count; i += 8) {
    unsigned found = 0;
    for (int j = 0; j < 8; ++j) found |= static_cast<unsigned>(values[i + j] != 0.0f) << j;
    bits[i / 8] = static_cast<std::uint8_t>(found);
  }
#endif
}

#define TABLE(name)                                                                                               \
  {name, kPanel, nullptr, multiply, multiply_positive, multiply_add, multiply_gated, add_outer, add, add_scaled, dot, \
   cross, uncross, uncross_first, gate, find_active, drop}

}  // namespace
}  // namespace shortlist::training
