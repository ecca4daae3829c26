// Rows of an embedding table, alone and added up in bags, without an array of all of them.
#pragma once

#include <cstdint>

#include "rows.hpp"

namespace shortlist::tables {

// Bags of rows; ids that are 0 do not count.
struct Bags {
  const std::int64_t* ids;      // [total]
  const std::int64_t* offsets;  // [count + 1]
  const float* factors;         // [total]; null for ones
  std::int64_t count;
};

// The rows themselves, as floats: [count, dim].
template <class Number>
void gather(const Number* weight, std::int64_t dim, const std::int64_t* ids, std::int64_t count, float* rows,
            int threads);

// The sum of the rows of each bag, each times its factor: [count, dim].
template <class Number>
void pool(const Number* weight, std::int64_t dim, const Bags& bags, float* sums, int threads);

// What decides how much an id of a bag counts: a softmax of these two scores over the bag.
struct Scores {
  const float* of_row;       // [rows]; null where all ids count alike
  const float* of_distance;  // by the distance from the bag's end, as long as the longest bag
};

// Adds the mean of the rows of each bag, weighted by the softmax of the scores, to sums + bag * stride.
void add_means(const float* weight, std::int64_t dim, const Bags& bags, const Scores& scores, float* sums,
               std::int64_t stride, int threads);

// How the sums' gradients [count, dim] reach the factors: [total].
template <class Number>
void factor_gradients(const Number* weight, std::int64_t dim, const Bags& bags, const float* gradients, float* factors,
                      int threads);

// The factors of a mean, one over the number of known ids in the bag: [total].
void mean_factors(const Bags& bags, float* factors);

}  // namespace shortlist::tables
