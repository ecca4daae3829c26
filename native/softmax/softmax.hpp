// Softmax cross-entropy of queries over candidates, and its gradients, without the matrix of their scores.
#pragma once

#include <cstdint>
#include <string_view>

namespace shortlist::softmax {

struct Problem {
  const float* queries;     // [batch, dim]
  const float* candidates;  // [count, dim]
  std::int64_t batch, count, dim;
  const std::int64_t* positives;  // [batch] the column of each query's own candidate
  const float* bias;              // [count] added to every query's scores; null: nothing
  const float* own_bias;          // [batch] added to the positive's score; null: nothing

  // What does not count scores `masked_score`; a positive always counts.
  float masked_score;
  const bool* mask;               // [batch, count] true where a candidate counts; null: all do
  const std::int64_t* by_id;      // [count] candidates in the order of their ids; null: ids do not matter
  const std::int64_t* run_begins; // [batch] where candidates with the id of a query's own begin in `by_id`
  const std::int64_t* run_ends;   // [batch]
};

// Fills `losses`, [batch]. `products` names the table of kernels (see kernels.hpp); "" is float32.
void losses(const Problem& problem, std::string_view products, int threads, float* losses);

struct Gradients {
  float* queries;     // [batch, dim]
  float* candidates;  // [count, dim]
  float* bias;        // [count]; null: not wanted
  float* own_bias;    // [batch]; null: not wanted
};

// Fills `losses` and the gradients of the sum of weights[i] * losses[i]. The same numbers for the same number of
// threads.
void losses_and_gradients(const Problem& problem, const float* weights, std::string_view products, int threads,
                          float* losses, const Gradients& gradients);

}  // namespace shortlist::softmax
