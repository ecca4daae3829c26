// Threads for one call: started for it and gone after it, so a process that forks never inherits half a pool.
#pragma once

#include <algorithm>
#include <cfenv>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace shortlist {

// The default floating-point environment while it lives. A program may have told the processor to flush
// denormals to zero (torch.set_flush_denormal), and scores must not depend on that.
class DefaultFloats {
 public:
  DefaultFloats() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloats() { std::fesetenv(&saved_); }
  DefaultFloats(const DefaultFloats&) = delete;
  DefaultFloats& operator=(const DefaultFloats&) = delete;

 private:
  std::fenv_t saved_;
};

// Work on several threads: what one of them throws, such as for want of memory, is kept until all are done.
template <class Work>
class Guarded {
 public:
  explicit Guarded(const Work& work) : work_(work) {}

  void operator()(int part) {
    const DefaultFloats floats;
    try {
      work_(part);
    } catch (...) {
      std::call_once(first_, [&] { thrown_ = std::current_exception(); });
    }
  }

  void rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  const Work& work_;
  std::exception_ptr thrown_;
  std::once_flag first_;
};

// Runs `work(thread)` for threads 0..count-1, the last of them on the caller's own.
template <class Work>
void run_threads(int count, const Work& work) {
  Guarded<Work> guarded(work);
  {
    std::vector<std::jthread> helpers;
    for (int thread = 0; thread + 1 < count; ++thread) helpers.emplace_back([&guarded, thread] { guarded(thread); });
    guarded(count - 1);
  }
  guarded.rethrow();
}

// A thread costs some 20 microseconds to start, so each must have more bytes to go through than that.
inline int useful_threads(int wanted, std::int64_t bytes) {
  constexpr std::int64_t kBytesPerThread = 1 << 20;
  return static_cast<int>(std::clamp<std::int64_t>(bytes / kBytesPerThread, 1, std::max(wanted, 1)));
}

}  // namespace shortlist
