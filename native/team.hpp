// Threads for kernels that run between PyTorch's own.
//
// PyTorch's OpenMP threads spin for milliseconds after their work, and a thread started here would share a core with
// one of them. So the parts go to those very threads, which are awake and cost next to nothing to call.
#pragma once

#include "threads.hpp"

namespace shortlist {

using RunPart = void (*)(void* work, int part);

// Calls `run(work, part)` for parts 0..count-1, each once, by the threads of the program's OpenMP library; where there
// is none, or the process was forked and left them behind, by threads of its own.
void share_parts(int count, RunPart run, void* work);

// Runs `work(part)` for parts 0..count-1, which any thread may take; the caller's takes what no other has begun.
template <class Work>
void run_team(int count, const Work& work) {
  Guarded<Work> guarded(work);
  share_parts(count, [](void* each, int part) { (*static_cast<Guarded<Work>*>(each))(part); }, &guarded);
  guarded.rethrow();
}

}  // namespace shortlist
