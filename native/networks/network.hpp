// A ranker's network over the candidates of some requests: its rows are put together, crossed and scored block by block
// in the cache.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace shortlist::networks {

enum class Kind : std::int64_t { kCross = 0, kHidden = 1, kOutput = 2 };

struct Step {
  Kind kind;
  Layer layer;
};

struct Network {
  std::int64_t width;  // of a row
  std::vector<Step> steps;  // the last and no other is the output
};

// A row is its request's part, its item's part and its own part.
struct Rows {
  const std::int64_t* offsets;  // the rows of request i are offsets[i] to offsets[i + 1]
  std::int64_t requests;
  const float* query;  // [requests][query_width]
  std::int64_t query_width;
  const float* table;  // [items][item_width]
  std::int64_t item_width;
  const std::int64_t* items;  // of each row
  const float* own;           // [rows][own_width]
  std::int64_t own_width;
};

// The output for each row.
void score(const Network& network, const Rows& rows, int threads, float* scores);

}  // namespace shortlist::networks
