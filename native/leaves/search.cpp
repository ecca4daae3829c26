#include "search.hpp"

#include <algorithm>
#include <atomic>
#include <limits>

#include "../threads.hpp"
#include "walk.hpp"

namespace shortlist::leaves {
namespace {

constexpr std::int64_t kGroup = 2048;         // queries that go through the leaves together, at most
constexpr std::int64_t kGroupRows = 1 << 18;  // candidates that they keep together, about

}  // namespace

void search(const Search& job, std::int64_t* labels, float* scores) {
  const std::int64_t group = std::clamp<std::int64_t>(kGroupRows / job.keep, 64, kGroup);
  std::int64_t rows = 0;
  for (const Part& part : job.parts) rows += part.run.blocks * kBlock;
  // The effort may be infinite: to look at every row.
  const std::int64_t per_query = static_cast<std::int64_t>(std::min(static_cast<float>(rows), job.effort)) + 4096;
  const int threads = static_cast<int>(std::min<std::int64_t>(
      useful_threads(job.threads, job.batch * per_query * job.parts.front().dim), job.batch));
  // As many groups for each thread, so that none waits for another's last.
  const std::int64_t rounds = (job.batch + group * threads - 1) / (group * threads);
  const std::int64_t size = (job.batch + rounds * threads - 1) / (rounds * threads);
  std::atomic<std::int64_t> next{0};
  run_threads(threads, [&](int) {
    Walk walk(job);
    for (std::int64_t first; (first = next.fetch_add(size)) < job.batch;) {
      const std::int64_t count = std::min(size, job.batch - first);
      walk.search(first, count, job.effort, labels, scores);
      // Exclusions may have taken what the chosen leaves held: such a query looks everywhere.
      const std::vector<bool> short_of = walk.short_of();
      for (std::int64_t q = 0; q < count; ++q)
        if (short_of[static_cast<std::size_t>(q)])
          walk.search(first + q, 1, std::numeric_limits<float>::infinity(), labels, scores);
    }
  });
}

}  // namespace shortlist::leaves
