// Exact search for so many results that most rows would be looked at twice: every row is scored in single precision,
// and those that may be among the best are scored again.
#pragma once

#include <cstdint>

#include "search.hpp"

namespace shortlist {

// Whether `dense_search` answers sooner than a walk through codes.
bool is_dense(const Search& job);

// As `search`; returns false where a score is not finite in single precision, and then the results are of no use.
bool dense_search(const Search& job, std::int64_t* labels, double* scores);

}  // namespace shortlist
