// A group of queries that are answered together, coded for the filters.
#pragma once

#include <cstdint>
#include <vector>

#include "collector.hpp"
#include "kernels.hpp"

namespace shortlist {

constexpr int kGroup = 64;       // queries a group at most: four panels, two calls of the panel filter a block
constexpr int kRowQueries = 4;   // up to this many, the row filter once for each is faster than a panel

// The interval that a row's score must lie in, given its sum of code products.
struct Interval {
  double lower;
  double upper;
};

class Lanes {
 public:
  Lanes(const Kernels& table, Metric metric, const float* queries, int count, std::int64_t dim);

  int count() const { return count_; }
  bool by_row() const { return count_ <= kRowQueries; }
  const float* query(int lane) const { return queries_ + lane * dim_; }

  // The filter's view of the queries from `first` on; `bounds` holds a value of `filter_bound` for each lane.
  CodeQueries view(int first, const float* bounds) const;
  // What a lane's `bound` must be so that the filter drops no row that scores `threshold` or more.
  float filter_bound(int lane, double threshold) const;
  // What no row of the block can pass, from norms alone.
  double best_possible(int lane, const BlockStats& stats) const;
  Interval interval(int lane, const BlockStats& stats, std::int32_t sum) const;

 private:
  void code(const Kernels& table, int lane);

  Metric metric_;
  const float* queries_;
  int count_;
  std::int64_t dim_;
  std::int64_t stride_;
  std::vector<std::int8_t> codes_;
  std::vector<std::int32_t> start_;
  std::vector<float> square_, residual_, norm_;       // the filter's weights, rounded towards safety
  std::vector<double> scale_, length_, lost_;         // the scale, |query| and |what the coding lost|
};

// Fills in the norms of the block's shortest and longest row, rounded outwards.
void set_norms(const double* norms, int count, BlockStats* stats);

// The filter's view of a block: `allowed` says which of its rows may be hits.
CodeBlock code_block(const std::uint8_t* codes, std::int64_t stride, const BlockStats& stats, std::uint64_t allowed,
                     Metric metric);

}  // namespace shortlist
