#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dense.hpp"
#include "lanes.hpp"
#include "scan.hpp"
#include "threads.hpp"

namespace shortlist {
namespace {

using Excluded = std::vector<std::vector<std::int64_t>>;

constexpr double kLowest = -std::numeric_limits<double>::infinity();

Excluded sorted_exclusions(const Search& job) {
  Excluded excluded;
  if (job.excluded_offsets == nullptr) return excluded;
  excluded.resize(static_cast<std::size_t>(job.batch));
  for (std::int64_t q = 0; q < job.batch; ++q) {
    auto& labels = excluded[static_cast<std::size_t>(q)];
    labels.assign(job.excluded + job.excluded_offsets[q], job.excluded + job.excluded_offsets[q + 1]);
    std::sort(labels.begin(), labels.end());
  }
  return excluded;
}

// Queries a group: the full number, unless each keeps so many candidates that they would fill the memory.
std::int64_t group_size(const Search& job) {
  constexpr std::int64_t kCandidates = 1 << 19;
  return std::clamp<std::int64_t>(kCandidates / std::max<std::int64_t>(job.k, 1), 1, kGroup);
}

// A group of queries, from the first thread that takes a chunk to the last that hands its candidates in.
struct Group {
  Group(const Search& job, const Kernels& table, std::int64_t first_query, std::int64_t count)
      : first(first_query),
        lanes(table, job.metric, job.queries + first_query * job.dim, static_cast<int>(count), job.dim),
        thresholds(static_cast<std::size_t>(count)) {
    for (auto& threshold : thresholds) threshold.store(kLowest, std::memory_order_relaxed);
  }

  std::int64_t first;
  Lanes lanes;
  std::vector<std::atomic<double>> thresholds;
  std::atomic<std::size_t> next_chunk{0};
};

void walk(Scan& scan, Group& group, const std::vector<Chunk>& chunks, const Excluded& excluded) {
  scan.begin(group.lanes, group.first, excluded, group.thresholds.data());
  while (scan.bad_row() < 0) {
    const std::size_t next = group.next_chunk.fetch_add(1, std::memory_order_relaxed);
    if (next >= chunks.size()) return;
    scan.visit(chunks[next]);
  }
}

void write_group(Scan& scan, const Group& group, std::int64_t k, std::int64_t* labels, double* scores) {
  for (int lane = 0; lane < group.lanes.count(); ++lane) {
    const std::int64_t place = (group.first + lane) * k;
    write_best(scan.collector(lane).finish(), k, labels + place, scores + place);
  }
}

}  // namespace

std::int64_t search(const Search& job, std::int64_t* labels, double* scores) {
  if (is_dense(job) && dense_search(job, labels, scores)) return -1;
  const Kernels& table = kernels();
  const Excluded excluded = sorted_exclusions(job);
  const std::vector<Chunk> chunks = chunks_of(job);
  std::int64_t rows = 0;
  for (const Segment& segment : job.segments) rows += segment.count;
  const int threads = useful_threads(job.threads, rows * job.batch * job.dim);
  const std::int64_t size = group_size(job), groups = (job.batch + size - 1) / size;
  std::vector<Scan> scans(static_cast<std::size_t>(threads), Scan(job, table));
  const auto queries_of = [&](std::int64_t g) { return std::min(size, job.batch - g * size); };

  if (groups >= threads) {  // each thread takes whole groups: nothing to share, nothing to merge
    std::atomic<std::int64_t> next{0};
    run_threads(threads, [&](int thread) {
      Scan& scan = scans[static_cast<std::size_t>(thread)];
      for (std::int64_t g; (g = next.fetch_add(1)) < groups && scan.bad_row() < 0;) {
        Group group(job, table, g * size, queries_of(g));
        walk(scan, group, chunks, excluded);
        write_group(scan, group, job.k, labels, scores);
      }
    });
  } else {  // all the threads share each group's chunks
    for (std::int64_t g = 0; g < groups; ++g) {
      Group group(job, table, g * size, queries_of(g));
      run_threads(threads, [&](int thread) { walk(scans[static_cast<std::size_t>(thread)], group, chunks, excluded); });
      const DefaultFloats floats;
      for (int lane = 0; lane < group.lanes.count(); ++lane)
        for (int other = 1; other < threads; ++other)
          scans[0].collector(lane).absorb(scans[static_cast<std::size_t>(other)].collector(lane));
      write_group(scans[0], group, job.k, labels, scores);
    }
  }
  for (const Scan& scan : scans)
    if (scan.bad_row() >= 0) return scan.bad_row();
  return -1;
}

}  // namespace shortlist
