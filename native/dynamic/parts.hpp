// Work on many ids, in parts.
#pragma once

#include <cstdint>

#include "../team.hpp"

namespace shortlist::dynamic {

// Runs `work(begin, end)` over parts of 0..count-1, one a thread.
template <class Work>
void run_parts(std::int64_t count, std::int64_t bytes_each, int threads, const Work& work) {
  const int used = useful_threads(threads, count * bytes_each);
  run_team(used, [&](int thread) { work(count * thread / used, count * (thread + 1) / used); });
}

}  // namespace shortlist::dynamic
