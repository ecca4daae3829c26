// The kernels of training for AVX-512 with products with layers in float16, of which AVX512_FP16 multiplies and adds 32
// at a time; the gradients of the layers stay float32.
//
// float16 has a short range, so each operand is a multiple of its largest number, and sums of more than kDepth products
// are added up in float32. The numbers of rows each fill both halves of a word, since a processor spreads 32 bits over
// a vector for free.
#if defined(__x86_64__)
// GCC 12 warns about its own intrinsics.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define LANES 16
#define SIMD __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512fp16,avx2,fma")))
#include <immintrin.h>

#include "kernels.inl"

namespace shortlist::training {
namespace {

constexpr std::int64_t kHalves = 32;  // of a vector
constexpr std::int64_t kHalfPanel = kTileVecs * kHalves;
constexpr std::int64_t kDepth = 192;  // numbers that a short sum has at most

typedef std::uint32_t Word __attribute__((may_alias));

// What the numbers are divided by to be at most 1.
struct Unit {
  float unit;
  float inverse;
};

INLINE __mmask16 first(std::int64_t count) { return count >= LANES ? 0xffff : (1u << count) - 1; }

SIMD Unit unit_of(std::int64_t rows, Source from, std::int64_t width) {
  __m512 most = _mm512_set1_ps(1e-30f);  // of zeros, and of numbers so small that the inverse would overflow
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t j = 0; j < width; j += LANES)
      most = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(first(width - j), from.row(r) + j)), most);
  const float unit = _mm512_reduce_max_ps(most);
  return {unit, 1 / unit};
}

INLINE __m256i halves_of(__m512 values, float inverse) {
  return _mm256_castph_si256(_mm512_cvtxps_ph(_mm512_mul_ps(values, _mm512_set1_ps(inverse))));
}

// Words of numbers, [rows][kDepth].
SIMD void write_twins(std::int64_t rows, Source from, std::int64_t width, float inverse, Word* to) {
  const __m512i twice = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5,
                                         4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t j = 0; j < width; j += LANES) {
      const __m256i halves = halves_of(_mm512_maskz_loadu_ps(first(width - j), from.row(r) + j), inverse);
      _mm512_storeu_si512(to + r * kDepth + j, _mm512_permutexvar_epi16(twice, _mm512_castsi256_si512(halves)));
    }
}

// Each panel [inputs][width] in the first half of its place, its width a whole number of vectors.
SIMD float shorten(std::int64_t inputs, std::int64_t outputs, float* panels) {
  const Unit unit = unit_of(1, {panels, 0}, inputs * outputs);
  for (std::int64_t column = 0; column < outputs; column += kHalfPanel) {
    const std::int64_t width = std::min(kHalfPanel, outputs - column), room = rounded_up(width, kHalves);
    const float* from = panels + column * inputs;
    auto* to = reinterpret_cast<char*>(panels + column * inputs);
    for (std::int64_t k = 0; k < inputs; ++k, from += width, to += 2 * room) {
      __m256i row[2 * kTileVecs] = {};
      for (std::int64_t j = 0; j < width; j += LANES)
        row[j / LANES] = halves_of(_mm512_loadu_ps(from + j), unit.inverse);
      for (std::int64_t j = 0; j < room; j += LANES)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * j), row[j / LANES]);
    }
  }
  return unit.unit;
}

// Adds the products of a row of halves with as many factors as there are sums.
template <int kVecs>
INLINE void add_row(const char* row, const Word* factors, std::int64_t step, __m512h (&sums)[kTileRows][kVecs]) {
  __m512h values[kVecs];
  UNROLLED for (int v = 0; v < kVecs; ++v) values[v] = _mm512_loadu_ph(row + v * 2 * kHalves);
  UNROLLED for (int r = 0; r < kTileRows; ++r) {
    const __m512h factor = _mm512_castsi512_ph(_mm512_set1_epi32(static_cast<int>(factors[r * step])));
    UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] = _mm512_fmadd_ph(values[v], factor, sums[r][v]);
  }
}

INLINE __m512 low_half(__m512h sums) {
  return _mm512_cvtxph_ps(_mm256_castsi256_ph(_mm512_castsi512_si256(_mm512_castph_si512(sums))));
}

INLINE __m512 high_half(__m512h sums) {
  return _mm512_cvtxph_ps(_mm256_castsi256_ph(_mm512_extracti64x4_epi64(_mm512_castph_si512(sums), 1)));
}

// Where a short sum stands among those of one product.
struct Turn {
  bool first, last;
  float unit;
};

template <End kEnd>
INLINE void finish(__m512 sum, const Turn& turn, const float* bias, const float* where, float factor, float* to) {
  Vec start = {};
  if (!turn.first || kEnd == End::kAdd) {
    start = load(to);
  } else if (bias != nullptr) {
    start = load(bias);
  }
  Vec value = reinterpret_cast<Vec>(sum) * turn.unit + start;
  if constexpr (kEnd == End::kPositive)
    if (turn.last) value = value < 0.0f ? Vec{} : value;
  if constexpr (kEnd == End::kGate)
    if (turn.last) value = load(where) > 0.0f ? value * factor : Vec{};
  store(to, value);
}

template <int kVecs, End kEnd>
SIMD void half_tile(const Word* twins, const Inputs& inputs, std::int64_t first, const char* panel, const Turn& turn,
                    const Around& around, std::int64_t width, Target to) {
  __m512h sums[kTileRows][kVecs];
  UNROLLED for (int r = 0; r < kTileRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) sums[r][v] = _mm512_setzero_ph();
  for (std::int64_t i = 0; i < inputs.count; ++i) {
    const std::int64_t k = inputs.numbers == nullptr ? first + i : inputs.numbers[i];
    add_row(panel + k * 2 * kVecs * kHalves, twins + (k - first), kDepth, sums);
  }
  UNROLLED for (int r = 0; r < kTileRows; ++r)
    UNROLLED for (int v = 0; v < kVecs; ++v) {
      const std::int64_t j = v * kHalves;
      const float* bias = around.bias == nullptr ? nullptr : around.bias + j;
      const float* where = kEnd == End::kGate ? around.gate.where.row(r) + j : nullptr;
      const float factor = around.gate.factor;
      finish<kEnd>(low_half(sums[r][v]), turn, bias, where, factor, to.row(r) + j);
      if (j + LANES >= width) continue;
      finish<kEnd>(high_half(sums[r][v]), turn, bias == nullptr ? nullptr : bias + LANES,
                   where == nullptr ? nullptr : where + LANES, factor, to.row(r) + j + LANES);
    }
}

// Those at the head of an ascending list that are below a bound.
INLINE Inputs below(const Inputs& list, std::int64_t bound) {
  Inputs found{list.numbers, 0};
  while (found.count < list.count && list.numbers[found.count] < bound) ++found.count;
  return found;
}

// The panels meet some rows at a time, which are shortened once.
template <End kEnd>
SIMD void half_product(std::int64_t rows, Source from, const Panels& matrix, const Around& around, const Active* active,
                       Target to) {
  const Unit unit = unit_of(rows, from, matrix.inputs);
  alignas(64) Word twins[kTileRows * kDepth];
  for (std::int64_t row = 0; row < rows; row += kTileRows) {
    Inputs left = active == nullptr ? Inputs{nullptr, 0} : group_of(*active, row);
    for (std::int64_t k = 0; k < matrix.inputs; k += kDepth) {
      const std::int64_t depth = std::min(kDepth, matrix.inputs - k);
      const Inputs inputs = active == nullptr ? Inputs{nullptr, depth} : below(left, k + depth);
      if (active != nullptr) left = {left.numbers + inputs.count, left.count - inputs.count};
      const Turn turn{k == 0, k + depth == matrix.inputs, unit.unit * matrix.unit};
      write_twins(kTileRows, {from.row(row) + k, from.stride}, depth, unit.inverse, twins);
      for (std::int64_t column = 0; column < matrix.outputs; column += kHalfPanel) {
        const std::int64_t width = std::min(kHalfPanel, matrix.outputs - column);
        const std::int64_t vecs = rounded_up(width, kHalves) / kHalves;
        const auto some = vecs == 1 ? half_tile<1, kEnd> : vecs == 2 ? half_tile<2, kEnd> : half_tile<3, kEnd>;
        Around here{around.bias == nullptr ? nullptr : around.bias + column, around.gate};
        if constexpr (kEnd == End::kGate)
          here.gate.where = {around.gate.where.row(row) + column, around.gate.where.stride};
        const auto* panel = reinterpret_cast<const char*>(matrix.data + column * matrix.inputs);
        some(twins, inputs, k, panel, turn, here, width, {to.row(row) + column, to.stride});
      }
    }
  }
}

SIMD void half_multiply(std::int64_t rows, Source from, const Panels& matrix, const float* bias, const Active* inputs,
                        Target to) {
  half_product<End::kPlain>(rows, from, matrix, {bias, {}}, inputs, to);
}

SIMD void half_positive(std::int64_t rows, Source from, const Panels& matrix, const float* bias, const Active* inputs,
                        Target to) {
  half_product<End::kPositive>(rows, from, matrix, {bias, {}}, inputs, to);
}

SIMD void half_add(std::int64_t rows, Source from, const Panels& matrix, Target to) {
  half_product<End::kAdd>(rows, from, matrix, {nullptr, {}}, nullptr, to);
}

SIMD void half_gated(std::int64_t rows, Source from, const Panels& matrix, const Gate& gate, const Active* inputs,
                     Target to) {
  half_product<End::kGate>(rows, from, matrix, {nullptr, gate}, inputs, to);
}

}  // namespace

const Kernels kAvx512Fp16 = {"avx512fp16", kHalfPanel, shorten,    half_multiply, half_positive, half_add,
                             half_gated,   add_outer,  add,        add_scaled,    dot,           cross,
                             uncross,      uncross_first, gate,    find_active,   drop};

}  // namespace shortlist::training
#endif
