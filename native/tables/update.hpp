// A step of some rows of an embedding table, repeated rows taken together.
#pragma once

#include <cstdint>

#include "rows.hpp"

namespace shortlist::tables {

struct Table {
  float* weight;  // [rows, dim]
  float* first;   // [rows, dim], or [rows] for kRowwiseAdagrad: accumulators or Adam's means; null for kSgd
  float* second;  // [rows, dim] Adam's mean squares; null for others
  std::int64_t rows, dim;
};

// Adds up the gradients of each row named in `ids`, in their order, and takes one step for it. The same numbers for
// any number of threads.
void update(const Table& table, const Rule& rule, const std::int64_t* ids, const float* gradients, std::int64_t count,
            int threads);

}  // namespace shortlist::tables
