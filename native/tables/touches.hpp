// Which rows a step touches, and from where.
#pragma once

#include <cstdint>
#include <vector>

#include "update.hpp"

namespace shortlist::tables {

// A row, and the place of its gradient: an index of `ids`.
struct Touch {
  std::uint32_t row;
  std::uint32_t position;
};

// The touches of one thread's share of the rows, sorted by row and then by position.
std::vector<Touch> touches_of(const Gradients& gradients, std::int64_t rows, int thread, int threads);

}  // namespace shortlist::tables
