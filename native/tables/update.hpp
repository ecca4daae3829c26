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

// A table in bfloat16, whose numbers are rounded at random and right on average.
struct HalfTable {
  Bfloat16* weight;     // [rows, dim]
  Bfloat16* first;      // [rows, dim]; null for kSgd and kRowwiseAdagrad
  Bfloat16* second;     // [rows, dim] for Adam
  float* accumulators;  // [rows] for kRowwiseAdagrad
  std::int64_t rows, dim;
  std::uint64_t noise;  // of this step (see noise.hpp)
};

// The gradients of the rows `ids`. Without bags each has its own in `values`. With bags an id's gradient is that of
// its bag times its factor, and ids that are 0 do not count.
struct Gradients {
  const std::int64_t* ids;
  std::int64_t count;
  const float* values;                      // [count, dim] or [bags, dim]
  const std::int64_t* offsets = nullptr;    // [bags + 1], from 0 to count
  std::int64_t bags = 0;
  const float* factors = nullptr;           // [count]; null for ones
};

// Adds up the gradients of each row named in `ids`, in their order, and takes one step for it. The same numbers for
// any number of threads.
void update(const Table& table, const Rule& rule, const Gradients& gradients, int threads);
void update(const HalfTable& table, const Rule& rule, const Gradients& gradients, int threads);

}  // namespace shortlist::tables
