// What one step does to one row of an embedding table, one table of functions for each instruction set.
#pragma once

#include <cstdint>

namespace shortlist::tables {

// A rule of descent and its numbers. `corrections` are Adam's for the step at hand.
struct Rule {
  enum class Kind { kSgd, kAdagrad, kRowwiseAdagrad, kAdam } kind;
  float learning_rate, eps, beta1, beta2, correction1, correction2;
};

using Bfloat16 = std::uint16_t;  // the upper half of a float

struct RowKernels {
  void (*add)(float* sum, const float* gradient, std::int64_t dim);
  // weight -= learning_rate * gradient
  void (*sgd)(const Rule& rule, const float* gradient, std::int64_t dim, float* weight);
  // accumulator += gradient^2; weight -= learning_rate * gradient / sqrt(accumulator + eps)
  void (*adagrad)(const Rule& rule, const float* gradient, std::int64_t dim, float* weight, float* accumulator);
  // The same with one accumulator a row, of the mean square.
  void (*rowwise_adagrad)(const Rule& rule, const float* gradient, std::int64_t dim, float* weight,
                          float* accumulator);
  // Adam's moments of the rows that are touched.
  void (*adam)(const Rule& rule, const float* gradient, std::int64_t dim, float* weight, float* mean,
               float* square);

  // sum += factor * row
  void (*add_scaled)(float* sum, const float* row, float factor, std::int64_t dim);
  void (*add_scaled_half)(float* sum, const Bfloat16* row, float factor, std::int64_t dim);
  float (*dot)(const float* row, const float* other, std::int64_t dim);
  float (*dot_half)(const Bfloat16* row, const float* other, std::int64_t dim);
  void (*widen)(const Bfloat16* row, std::int64_t dim, float* wide);
  // Rounds each number up or down at random, so that it is right on average. `key` makes the random numbers.
  void (*narrow)(const float* wide, std::uint32_t key, std::int64_t dim, Bfloat16* row);
};

extern const RowKernels kPortable;
#if defined(__x86_64__)
extern const RowKernels kAvx2;
extern const RowKernels kAvx512;
#endif

// The functions for the instruction set that the process uses (see shortlist::kernels).
const RowKernels& row_kernels();

}  // namespace shortlist::tables
