// The different ids among some.
#pragma once

#include <cstdint>

namespace shortlist::training {

// Fills `rows` with where each id comes first, in that order, and `index` with which of these each id is. Returns how
// many there are; both have room for `count`.
std::int64_t find_distinct(const std::int64_t* ids, std::int64_t count, std::int64_t* rows, std::int64_t* index);

}  // namespace shortlist::training
