// Rows brought to length 1.
#pragma once

#include <cstdint>

namespace shortlist {

// Divides each of `count` rows of `dim` values by its length, in double; a row of length zero stays as it is, and
// one that is not finite stays so.
void normalise(const float* rows, std::int64_t count, std::int64_t dim, float* normalised);

}  // namespace shortlist
