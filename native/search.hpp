// Exact top-k over rows of floats: what the module offers, whatever the instruction set.
#pragma once

#include <cstdint>
#include <vector>

#include "collector.hpp"
#include "kernels.hpp"

namespace shortlist {

// Rows that were coded together. The codes lie in blocks of 64 in an order of their own (longest row first),
// so that a block's rows share a scale well and the scan can stop where norms say that nothing better comes.
struct Segment {
  const float* rows;             // [count, dim], in any order
  std::int64_t count;
  const std::uint8_t* codes;     // [blocks, 64, stride]; null: coded during the search
  const BlockStats* stats;       // [blocks]
  const std::uint32_t* order;    // [count] the row at each place among the codes; null: as they come
  const std::int64_t* labels;    // [count] what the caller knows a row by; null: its number
  const bool* dead;              // [count] rows to pass over; null: none
};

struct Search {
  std::vector<Segment> segments;
  std::int64_t dim;
  Metric metric;
  const float* queries;            // [batch, dim]
  std::int64_t batch;
  std::int64_t k;                  // at most the number of rows
  const bool* where;               // by label: which rows are allowed; null: all
  const std::int64_t* excluded;    // labels that a query must not get, one query after another
  const std::int64_t* excluded_offsets;  // [batch + 1]; null: none
  int threads;
};

// Fills `labels` and `scores`, both [batch, k], best first, ties by the lower label; what is missing is -1 and
// minus infinity. Returns -1, or the number of a row (within its segment) that holds a NaN or an infinity and
// was met on the way; the result is then of no use.
std::int64_t search(const Search& job, std::int64_t* labels, double* scores);

// Norms of rows: NaN or infinite where a value is.
void row_norms(const float* rows, std::int64_t count, std::int64_t dim, int threads, double* norms);

// Codes `count` rows, taken in `order`, into whole blocks.
void encode(const float* rows, std::int64_t count, std::int64_t dim, const std::uint32_t* order, const double* norms,
            int threads, std::uint8_t* codes, BlockStats* stats);

}  // namespace shortlist
