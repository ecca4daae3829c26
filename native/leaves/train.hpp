// Leaves for rows: k-means on codes.
#pragma once

#include <cstdint>

#include "codes.hpp"

namespace shortlist::leaves {

// Rows of some tier and how many leaves they get.
struct Tier {
  const std::uint32_t* members;  // row numbers
  std::int64_t count;
  std::int64_t leaves;           // 1 to count
  float* centroids;              // [leaves, dim] filled, relative to the rows' origin
  std::uint32_t* leaf_of;        // [count] filled: the leaf of each member
};

// Lloyd's iterations from members drawn under `seed`; the same leaves for any number of threads.
void train(const Rows& rows, const Tier& tier, int iterations, std::uint64_t seed, int threads);

// The nearest centroid of each row, by Euclidean distance up to the codes' error.
void assign(const Rows& rows, const std::uint32_t* members, std::int64_t count, const float* centroids,
            std::int64_t leaves, int threads, std::uint32_t* leaf_of);

}  // namespace shortlist::leaves
