// Lists of candidates by their scores: the best of each, and how each score stands among its list's.
#pragma once

#include <cstdint>

#include "losses.hpp"

namespace shortlist::lists {

// The positions of each list's best `keep` items at most, one list after another: by falling score, equal scores by
// rising item, NaN last.
void best(const Batch& batch, const std::int64_t* items, std::int64_t keep, std::int64_t* order);

// Three numbers an item, `stride` apart: its score less the list's mean over its deviation, the logarithm of its rank
// over 5, and the reciprocal of its rank. Ranks count from 1; equal scores keep the list's order and NaN comes last.
// What is not finite counts as 0 for the first.
void relative_scores(const Batch& batch, float* columns, std::int64_t stride);

}  // namespace shortlist::lists
