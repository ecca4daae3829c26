// The inner loops over all pairs of a list's items, one table for each instruction set.
//
// A kernel's arrays have room for kRoom floats after the list's own, so that no loop has a remainder; what the room
// must hold stands beside each.
#pragma once

#include <cstdint>

namespace shortlist::lists {

constexpr int kRoom = 16;

// What a pair weighs beside its better item's own weight: |gain - gain'| times
// near[distance] * lift[lower rank] + |single[rank] - single[rank']|. Ranks count from 0.
struct PairDiscounts {
  const float* near;
  const float* lift;
  const float* single;
  std::int64_t top_n;  // pairs whose higher rank is not below it weigh nothing
};

// A list by falling score.
struct RankedList {
  std::int64_t count;
  const float* scores;   // room: not above the last score
  const float* labels;   // room: above every label
  const float* weights;  // room: 0
  const float* gains;    // null for pairs that all weigh 1; room: anything finite
};

struct PairSums {
  double loss;
  double weight;
};

struct Kernels {
  const char* name;

  // Of each of some lists, `offsets` apart, the mean of -log(softmax of scores) by target and the targets' sum.
  // `slopes`, which may be null, become the gradient of their product. False where a number is not finite or a target
  // negative: then the results mean nothing. Needs no room.
  bool (*cross_entropy)(const float* scores, const float* targets, const std::int64_t* offsets, std::int64_t lists,
                        float* values, float* totals, float* slopes);

  // Adds up log(1 + exp(-(better score - worse score))) by weight; `slopes`, null or [count + room] zeros, becomes
  // the gradient of that sum.
  PairSums (*logistic)(const RankedList& list, const PairDiscounts& discounts, float* slopes);

  // ranks[i] += sum over j of sigmoid(scores[j] - scores[i]), j other than i. Scores' room: -1e30.
  void (*smooth_ranks)(const float* scores, std::int64_t count, float* ranks);

  // slopes[i] += sum over j of (by_rank[i] - by_rank[j]) * sigmoid'(scores[j] - scores[i]): what a change of the
  // ranks by `by_rank` makes of the scores, negated. Room: as above, and 0.
  void (*smooth_rank_slopes)(const float* scores, const float* by_rank, std::int64_t count, float* slopes);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#endif

// The table for the instruction set that the process uses (see shortlist::kernels).
const Kernels& kernels();

}  // namespace shortlist::lists
