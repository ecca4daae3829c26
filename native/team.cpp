#include "team.hpp"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>

namespace shortlist {
namespace {

// libgomp's entry point, which LLVM's and Intel's OpenMP have too.
using Parallel = void (*)(void (*run)(void*), void* data, unsigned threads, unsigned flags);

// A forked process has none of its parent's threads, and libgomp would wait for them for ever.
std::atomic<bool> forked{false};
[[maybe_unused]] const int watching = pthread_atfork(nullptr, nullptr, [] { forked = true; });

Parallel openmp() {
  static const auto found = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  return forked ? nullptr : found;
}

// OpenMP may give fewer threads than were asked for, so each takes the next part until none is left.
struct Parts {
  int count;
  RunPart run;
  void* work;
  std::atomic<int> next{0};

  static void take(void* self) {
    auto& parts = *static_cast<Parts*>(self);
    for (int part; (part = parts.next.fetch_add(1)) < parts.count;) parts.run(parts.work, part);
  }
};

}  // namespace

void share_parts(int count, RunPart run, void* work) {
  Parts parts{count, run, work};
  if (count == 1) return Parts::take(&parts);
  const auto take = [&](int) { Parts::take(&parts); };
  if (const Parallel parallel = openmp()) parallel(Parts::take, &parts, static_cast<unsigned>(count), 0);
  else run_threads(count, take);
}

}  // namespace shortlist
