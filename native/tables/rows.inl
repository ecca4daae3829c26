// Plain loops that the compiler turns into vectors; each instruction set includes this file with its own SIMD, the
// target of the functions.
#include <cmath>
#include <cstdint>

#include "rows.hpp"

namespace shortlist::tables {
namespace {

SIMD void add(float* __restrict sum, const float* __restrict gradient, std::int64_t dim) {
  for (std::int64_t j = 0; j < dim; ++j) sum[j] += gradient[j];
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
  float partial[8] = {};  // in a fixed order, whatever the width of the vectors
  const std::int64_t whole = dim / 8 * 8;
  for (std::int64_t j = 0; j < whole; j += 8)
    for (int lane = 0; lane < 8; ++lane) partial[lane] += gradient[j + lane] * gradient[j + lane];
  for (std::int64_t j = whole; j < dim; ++j) partial[j - whole] += gradient[j] * gradient[j];
  const float square = ((partial[0] + partial[1]) + (partial[2] + partial[3])) +
                       ((partial[4] + partial[5]) + (partial[6] + partial[7]));
  *accumulator += square / static_cast<float>(dim);
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

}  // namespace
}  // namespace shortlist::tables
