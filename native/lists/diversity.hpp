// Lists reordered so that their first items are good and unlike each other.
#pragma once

#include <cstdint>

#include "losses.hpp"

namespace shortlist::lists {

// Rows of `vectors` by item.
struct Vectors {
  const float* rows;
  std::int64_t dim;
};

// Greedy maximal marginal relevance: each of the first `picks` maximises (1 - strength) * (its score, brought to [0, 1]
// within its list) - strength * (its greatest cosine, 0 at least, with one picked before); the others follow in their
// order. `order` becomes the positions, one list after another, and `penalty` that greatest cosine, by item.
void marginal_relevance(const Batch& batch, const std::int64_t* items, const Vectors& vectors, double strength,
                        std::int64_t picks, std::int64_t* order, float* penalty);

}  // namespace shortlist::lists
