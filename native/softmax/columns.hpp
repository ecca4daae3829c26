// Some of the candidates as the kernels read them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels.hpp"
#include "softmax.hpp"

namespace shortlist::softmax {

using Floats = std::vector<float>;

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr float kLog2E = 1.44269504088896341f;

inline std::int64_t rounded_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Columns beyond the last are zeros whose bias makes their exponential 0.
class Columns {
 public:
  Columns(const Problem& problem, const Kernels& table)
      : problem_(problem), table_(table), padded_(rounded_up(problem.dim, table.lanes)) {}

  void read(std::int64_t from, std::int64_t to) {
    begin = from;
    end = to;
    width = rounded_up(end - begin, table_.panel);
    rows_.assign(static_cast<std::size_t>(width * padded_), 0.0f);
    panels.resize(rows_.size());
    packed.resize(rows_.size());
    bias.assign(static_cast<std::size_t>(width), kLowest);
    for (std::int64_t j = 0; j < end - begin; ++j) {
      const float* row = problem_.candidates + (begin + j) * problem_.dim;
      std::copy(row, row + problem_.dim, rows_.data() + j * padded_);
      bias[static_cast<std::size_t>(j)] = problem_.bias == nullptr ? 0.0f : problem_.bias[begin + j] * kLog2E;
    }
    unit = table_.pack_candidates(rows_.data(), width, padded_, panels.data(), packed.data());
  }

  // The column of a candidate, or -1 where it is not among them.
  std::int64_t place(std::int64_t candidate) const {
    return candidate >= begin && candidate < end ? candidate - begin : -1;
  }

  std::int64_t begin = 0, end = 0, width = 0;
  float unit = 1.0f;  // of `packed`
  Floats panels, packed, bias;

 private:
  const Problem& problem_;
  const Kernels& table_;
  std::int64_t padded_;
  Floats rows_;
};

}  // namespace shortlist::softmax
