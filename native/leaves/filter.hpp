// What a filter leaves of a part.
#pragma once

#include <cstdint>

#include "search.hpp"

namespace shortlist::leaves {

// A bit for each place: whether a row is there, the part's own `allowed` lets it pass and `where`, by label,
// does too.
void allow(const Part& part, const bool* where, std::uint16_t* allowed);

// The allowed rows of each leaf.
void count_allowed(const std::uint16_t* allowed, const std::int64_t* begins, std::int64_t leaves, float* sizes);

// Where `copy_allowed` writes: blocks of the same layout, padded leaf by leaf.
struct Copy {
  const std::int64_t* begins;  // [leaves + 1] each leaf's first block
  std::uint8_t* codes;
  std::uint8_t* rest;  // null where the part has none
  float* scale;
  float* bias;  // null where the part has none
  std::uint32_t* order;
};

// Copies the allowed rows, leaf by leaf (a part without leaves is one), so that a search reads nothing else.
void copy_allowed(const Part& part, const std::uint16_t* allowed, const Copy& copy);

}  // namespace shortlist::leaves
