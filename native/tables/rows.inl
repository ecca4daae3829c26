// Plain loops that the compiler turns into vectors; each instruction set includes this file with its own SIMD, the
// target of the functions.
#include <bit>
#include <cmath>
#include <cstdint>

#include "rows.hpp"

namespace shortlist::tables {
namespace {

SIMD inline float wide(float value) { return value; }
SIMD inline float wide(Bfloat16 half) { return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16); }

SIMD void add(float* __restrict sum, const float* __restrict gradient, std::int64_t dim) {
  for (std::int64_t j = 0; j < dim; ++j) sum[j] += gradient[j];
}

template <class Number>
SIMD void add_scaled(float* __restrict sum, const Number* __restrict row, float factor, std::int64_t dim) {
  for (std::int64_t j = 0; j < dim; ++j) sum[j] += factor * wide(row[j]);
}

template <class Number>
SIMD float dot(const Number* row, const float* other, std::int64_t dim) {
  float partial[8] = {};  // in a fixed order, whatever the width of the vectors
  const std::int64_t whole = dim / 8 * 8;
  for (std::int64_t j = 0; j < whole; j += 8)
    for (int lane = 0; lane < 8; ++lane) partial[lane] += wide(row[j + lane]) * other[j + lane];
  for (std::int64_t j = whole; j < dim; ++j) partial[j - whole] += wide(row[j]) * other[j];
  return ((partial[0] + partial[1]) + (partial[2] + partial[3])) +
         ((partial[4] + partial[5]) + (partial[6] + partial[7]));
}

SIMD void sgd(const Rule& rule, const float* __restrict gradient, std::int64_t dim, float* __restrict weight) {
  const float rate = rule.learning_rate;
  for (std::int64_t j = 0; j < dim; ++j) weight[j] -= rate * gradient[j];
}

SIMD void adagrad(const Rule& rule, const float* __restrict gradient, std::int64_t dim, float* __restrict weight,
                  float* __restrict accumulator) {
  const float rate = rule.learning_rate, eps = rule.eps;
  for (std::int64_t j = 0; j < dim; ++j) {
    const float sum = accumulator[j] + gradient[j] * gradient[j];
    accumulator[j] = sum;
    weight[j] -= rate * gradient[j] / std::sqrt(sum + eps);
  }
}

SIMD void rowwise_adagrad(const Rule& rule, const float* __restrict gradient, std::int64_t dim,
                          float* __restrict weight, float* __restrict accumulator) {
  *accumulator += dot(gradient, gradient, dim) / static_cast<float>(dim);
  const float rate = rule.learning_rate / std::sqrt(*accumulator + rule.eps);
  for (std::int64_t j = 0; j < dim; ++j) weight[j] -= rate * gradient[j];
}

SIMD void adam(const Rule& rule, const float* __restrict gradient, std::int64_t dim, float* __restrict weight,
               float* __restrict mean, float* __restrict square) {
  const float rate = rule.learning_rate / rule.correction1, root = std::sqrt(rule.correction2);
  const float beta1 = rule.beta1, beta2 = rule.beta2, eps = rule.eps;
  for (std::int64_t j = 0; j < dim; ++j) {
    mean[j] += (1 - beta1) * (gradient[j] - mean[j]);
    square[j] += (1 - beta2) * (gradient[j] * gradient[j] - square[j]);
    weight[j] -= rate * mean[j] / (std::sqrt(square[j]) / root + eps);
  }
}

SIMD void widen(const Bfloat16* __restrict row, std::int64_t dim, float* __restrict wider) {
  for (std::int64_t j = 0; j < dim; ++j) wider[j] = wide(row[j]);
}

// Adding 16 random bits to the lower half of a number carries into the upper half as often as the lower half says.
// The random bits are a mix of the key and the column (the constants are those of C. Wellons' lowbias32), so that no
// number depends on another; `kernels/rounding.py` has the same function for other devices.
SIMD void narrow(const float* __restrict wider, std::uint32_t key, std::int64_t dim, Bfloat16* __restrict row) {
  for (std::int64_t j = 0; j < dim; ++j) {
    std::uint32_t random = key ^ (static_cast<std::uint32_t>(j) * 0x9e3779b9u);
    random = (random ^ (random >> 16)) * 0x7feb352du;
    random = (random ^ (random >> 15)) * 0x846ca68bu;
    random ^= random >> 16;
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(wider[j]);
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;  // a NaN must not become a number
    row[j] = static_cast<Bfloat16>((bits + (finite ? random & 0xffffu : 0u)) >> 16);
  }
}

}  // namespace
}  // namespace shortlist::tables
