// Losses over lists of different lengths, which lie one after another: list i from offsets[i] to offsets[i + 1].
#pragma once

#include <cstdint>

namespace shortlist::lists {

// What learning to rank compares; all arrays of items are [offsets[lists]].
struct Batch {
  const std::int64_t* offsets;
  std::int64_t lists;
  const float* scores;
};

// Tables of the weights of pairs, each as long as the longest list and its room; see kernels.hpp.
struct Discounts {
  const float* near;
  const float* lift;
  const float* single;
  std::int64_t top_n;
};

// The logistic loss of all pairs of a better and a worse item: each list's mean by weight and its sum of weights.
// `weights` (of items), `gains` with `discounts`, and `slopes` (the gradients of the means) may be null.
void logistic(const Batch& batch, const float* labels, const float* weights, const float* gains,
              const Discounts& discounts, int threads, float* values, float* totals, float* slopes);

// Each item's rank, 1 + sum over the list's others of sigmoid(score' - score).
void smooth_ranks(const Batch& batch, int threads, float* ranks);

// The slope by each score of a sum whose slope by each smooth rank is minus `by_rank`.
void smooth_rank_slopes(const Batch& batch, const float* by_rank, int threads, float* slopes);

// Cross-entropy of the targets' shares under the softmax of each list's scores, and the sum of its targets. `slopes`,
// which may be null, become the gradient of their product. A list without a target has a loss and slopes of 0. Returns
// false where a number is not finite or a target negative: then the results mean nothing.
bool cross_entropy(const Batch& batch, const float* targets, int threads, float* values, float* totals, float* slopes);

// Each item's number, which stands in the batch's scores, times its list's factor.
void list_products(const Batch& batch, const float* factors, float* products);

// The best possible DCG of each list: its gains by falling size times the discounts, `width` of them at most.
void ideal_dcg(const Batch& batch, const float* gains, const float* discounts, std::int64_t width, float* ideal);

}  // namespace shortlist::lists
