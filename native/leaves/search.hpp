// Approximate top-k over rows that lie in leaves: what the module offers, whatever the instruction set.
#pragma once

#include <cstdint>
#include <vector>

#include "../collector.hpp"
#include "codes.hpp"

namespace shortlist::leaves {

// Rows that were coded together. Each leaf holds rows that point the same way and are about as long; its rows
// lie in whole blocks, one leaf after another.
struct Part {
  std::int64_t dim;
  Frame frame;                  // what codes are relative to, and centroids to its origin; the same for all parts
  const float* rows;            // [count, dim] to score the best again; null: the codes' scores are final
  const std::int64_t* labels;   // [count] what the caller knows a row by; null: its number
  const std::uint32_t* order;   // [blocks * 16] the row at each place, or kNoRow
  Run run;                      // all the blocks
  std::int64_t leaves;          // 0: every search looks at every row
  const std::int64_t* begins;   // [leaves + 1] each leaf's first block
  const float* sizes;           // [leaves] allowed rows
  Run centroids;                // a row a leaf; for inner products the bias is how far its rows spread
  const float* spreads;         // [leaves]
  float reach;                  // how many spreads beyond its centroid a leaf's best row is expected
  const float* rest_spreads;    // [leaves] of what the rows' heads lack; null where the heads are whole rows
  float slack;                  // how many of these more a row's rest may add than its centroid's
};

struct Search {
  std::vector<Part> parts;
  Metric metric;
  const float* queries;                  // [batch, dim]
  std::int64_t batch;
  std::int64_t k;
  std::int64_t keep;                     // rows that are scored again, at least k
  float effort;                          // allowed rows to look at, for each part with leaves
  const std::int64_t* excluded;          // labels that a query must not get, one query after another
  const std::int64_t* excluded_offsets;  // [batch + 1]; null: none
  int threads;
};

// Fills `labels` and `scores`, both [batch, k], best first, ties by the lower label; what is missing is -1 and
// minus infinity.
void search(const Search& job, std::int64_t* labels, float* scores);

}  // namespace shortlist::leaves
