#include "search.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "../threads.hpp"
#include "candidates.hpp"
#include "choose.hpp"
#include "codes.hpp"

namespace shortlist::leaves {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr std::int64_t kGroup = 2048;     // queries that go through the leaves together, at most
constexpr std::int64_t kGroupRows = 1 << 18;  // candidates that they keep together, about
constexpr int kChosenTogether = 8;       // queries whose scores of the centroids are held at a time

struct Visit {
  std::uint32_t leaf;
  std::uint32_t query;
};

// A place of some part: the parts' places are numbered through.
struct Found {
  float score;
  std::int64_t label;
};

// One thread's way through groups of queries.
class Walk {
 public:
  explicit Walk(const Search& job) : job_(job), table_(kernels()), exact_(shortlist::kernels()) {
    std::uint32_t first = 0;
    for (const Part& part : job.parts) {
      firsts_.push_back(first);
      first += static_cast<std::uint32_t>(part.run.blocks * kBlock);
    }
  }

  void search(std::int64_t first, std::int64_t count, float effort, std::int64_t* labels, float* scores) {
    begin(first, count);
    for (std::size_t p = 0; p < job_.parts.size(); ++p) {
      const Part& part = job_.parts[p];
      if (part.leaves == 0) {
        everyone_.resize(static_cast<std::size_t>(count));
        for (std::int64_t q = 0; q < count; ++q) everyone_[static_cast<std::size_t>(q)] = static_cast<std::uint32_t>(q);
        look(part, p, 0, part.run.blocks, everyone_.data(), count);
      } else {
        choose_leaves(part, effort);
        visit_leaves(part, p);
      }
    }
    for (std::int64_t q = 0; q < count; ++q) {
      const std::int64_t at = (first + q) * job_.k;
      const std::int64_t found = finish(q, labels + at, scores + at);
      short_of_.push_back(found < job_.k);
    }
  }

  // Queries of the last group that found fewer than k rows.
  const std::vector<bool>& short_of() const { return short_of_; }

 private:
  void begin(std::int64_t first, std::int64_t count) {
    first_ = first;
    count_ = count;
    short_of_.clear();
    const std::int64_t dim = job_.parts.front().dim, stride = code_stride(dim);
    codes_.resize(static_cast<std::size_t>(count * stride));
    queries_.resize(static_cast<std::size_t>(count));
    centroid_queries_.resize(static_cast<std::size_t>(count));
    units_.resize(static_cast<std::size_t>(count));
    lengths_.resize(static_cast<std::size_t>(count));
    if (candidates_.size() < static_cast<std::size_t>(count)) candidates_.resize(static_cast<std::size_t>(count));
    if (job_.excluded_offsets != nullptr) excluded_.resize(static_cast<std::size_t>(count));
    for (std::int64_t q = 0; q < count; ++q) {
      const auto i = static_cast<std::size_t>(q);
      const float* query = job_.queries + (first + q) * dim;
      float unit = code_query(query, dim, table_.query_range, codes_.data() + q * stride, &queries_[i]);
      // A distance is |q|^2 - 2 q.v + |v|^2: the rows' bias is -|v|^2 / 2, and |q|^2 changes no order.
      queries_[i].weight = 1.0f / unit;
      centroid_queries_[i] = queries_[i];
      lengths_[i] = length_of(query, dim, unit);
      if (job_.metric == Metric::kDot) centroid_queries_[i].weight = job_.reach * lengths_[i];
      units_[i] = unit;
      candidates_[i].reset(job_.keep);
      if (job_.excluded_offsets != nullptr) {
        const std::int64_t* offsets = job_.excluded_offsets + first + q;
        excluded_[i].assign(job_.excluded + offsets[0], job_.excluded + offsets[1]);
        std::sort(excluded_[i].begin(), excluded_[i].end());
      }
    }
  }

  // A query's length in the unit of its codes, whose squares no query can make overflow.
  static float length_of(const float* query, std::int64_t dim, float unit) {
    const float inverse = 1.0f / unit;
    float sum = 0;
    for (std::int64_t j = 0; j < dim; ++j) sum += (query[j] * inverse) * (query[j] * inverse);
    return std::sqrt(sum);
  }

  void choose_leaves(const Part& part, float effort) {
    visits_.clear();
    const std::int64_t width = part.centroids.blocks * kBlock;
    expected_.resize(static_cast<std::size_t>(std::min<std::int64_t>(kChosenTogether, count_) * width));
    for (std::int64_t q = 0; q < count_; q += kChosenTogether) {
      const int together = static_cast<int>(std::min<std::int64_t>(kChosenTogether, count_ - q));
      table_.scores(part.centroids, centroid_queries_.data() + q, together, expected_.data(), width);
      for (int i = 0; i < together; ++i) {
        float* expected = expected_.data() + i * width;
        if (job_.metric == Metric::kL2) expect_near(part, static_cast<std::size_t>(q + i), expected);
        const float wanted = effort_with_exclusions(effort, excluded_count(q + i));
        for (const std::uint32_t leaf : chooser_.choose(table_, expected, part.sizes, part.leaves, wanted))
          visits_.push_back({leaf, static_cast<std::uint32_t>(q + i)});
      }
    }
  }

  // From half of minus the squared distance to each centroid, less |q|^2 / 2, to minus that of the leaf's nearest
  // row: rows are farther than their centroid by their variance, the nearest of them by as much less as they
  // spread. A query closer than that lies among the rows, and the closer the better.
  void expect_near(const Part& part, std::size_t q, float* expected) const {
    const float unit = units_[q], inverse = 1.0f / unit;
    const float square = lengths_[q] * lengths_[q] * unit;
    const float variance = std::max(static_cast<float>(part.dim) - job_.reach * job_.reach, 0.0f);
    for (std::int64_t leaf = 0; leaf < part.leaves; ++leaf) {
      const float squared = std::max(square - 2.0f * expected[leaf], 0.0f);  // distance^2 / unit
      const float spread = part.spreads[leaf];
      const float beyond = std::sqrt(squared * unit) - job_.reach * spread;
      // Where floats do not reach it is NaN, which this order of arguments makes the lowest: still a leaf.
      expected[leaf] = std::max(kLowest, -(beyond * std::abs(beyond) + variance * spread * spread) * inverse);
    }
  }

  // What is excluded is mostly what would have been found, so the search goes as deep as for that many more.
  float effort_with_exclusions(float effort, std::int64_t excluded) const {
    const auto k = static_cast<float>(job_.k), more = static_cast<float>(excluded);
    return effort * std::pow((k + more) / k, 0.7f) + more;
  }

  std::int64_t excluded_count(std::int64_t q) const {
    return job_.excluded_offsets == nullptr
               ? 0
               : static_cast<std::int64_t>(excluded_[static_cast<std::size_t>(q)].size());
  }

  // Leaf by leaf, each with all the queries that chose it, so that its codes are read once from far away.
  void visit_leaves(const Part& part, std::size_t p) {
    if (count_ == 1) return visit_alone(part, p);
    starts_.assign(static_cast<std::size_t>(part.leaves) + 1, 0);
    for (const Visit& visit : visits_) ++starts_[visit.leaf + 1];
    for (std::size_t leaf = 1; leaf < starts_.size(); ++leaf) starts_[leaf] += starts_[leaf - 1];
    by_leaf_.resize(visits_.size());
    ends_.assign(starts_.begin(), starts_.end() - 1);
    for (const Visit& visit : visits_) by_leaf_[ends_[visit.leaf]++] = visit.query;
    for (std::int64_t leaf = 0; leaf < part.leaves; ++leaf) {
      const std::uint32_t start = starts_[static_cast<std::size_t>(leaf)];
      const std::uint32_t end = starts_[static_cast<std::size_t>(leaf) + 1];
      if (start < end) look(part, p, part.begins[leaf], part.begins[leaf + 1], by_leaf_.data() + start, end - start);
    }
  }

  // One query waits for memory more than it computes, so the next leaf is asked for before this one is read.
  void visit_alone(const Part& part, std::size_t p) {
    std::sort(visits_.begin(), visits_.end(), [](const Visit& a, const Visit& b) { return a.leaf < b.leaf; });
    const std::uint32_t only = 0;
    for (std::size_t v = 0; v < visits_.size(); ++v) {
      if (v + 1 < visits_.size()) ask_for(part, visits_[v + 1].leaf);
      look(part, p, part.begins[visits_[v].leaf], part.begins[visits_[v].leaf + 1], &only, 1);
    }
  }

  static void ask_for(const Part& part, std::uint32_t leaf) {
    constexpr std::int64_t kLine = 64, kMost = 4096;  // from there on the processor sees where it goes
    const std::int64_t begin = part.begins[leaf], rows = (part.begins[leaf + 1] - begin) * kBlock;
    const std::int64_t bytes = std::min(rows * part.run.stride, kMost);
    const std::uint8_t* codes = part.run.codes + begin * kBlock * part.run.stride;
    for (std::int64_t i = 0; i < bytes; i += kLine) __builtin_prefetch(codes + i);
    const float* scale = part.run.scale + begin * kBlock;
    for (std::int64_t i = 0; i < rows; i += kLine / 4) __builtin_prefetch(scale + i);
  }

  void look(const Part& part, std::size_t p, std::int64_t begin, std::int64_t end, const std::uint32_t* queries,
            std::int64_t count) {
    const Query* coded[kTile];
    Hits* hits[kTile];
    for (std::int64_t q = 0; q < count; q += kTile) {
      const int tile = static_cast<int>(std::min<std::int64_t>(kTile, count - q));
      for (int i = 0; i < tile; ++i) {
        coded[i] = &queries_[queries[q + i]];
        hits[i] = &candidates_[queries[q + i]].hits();
      }
      for (std::int64_t block = begin; block < end; block += kRunBlocks) {
        const Run run = slice(part.run, block, std::min<std::int64_t>(kRunBlocks, end - block));
        table_.hits(run, firsts_[p] + static_cast<std::uint32_t>(block * kBlock), coded, hits, tile);
        for (int i = 0; i < tile; ++i)
          if (candidates_[queries[q + i]].full()) settle(queries[q + i]);
      }
    }
  }

  static Run slice(const Run& whole, std::int64_t block, std::int64_t blocks) {
    Run run = whole;
    run.codes += block * kBlock * whole.stride;
    run.scale += block * kBlock;
    if (run.bias != nullptr) run.bias += block * kBlock;
    if (run.allowed != nullptr) run.allowed += block;
    run.blocks = blocks;
    return run;
  }

  void settle(std::uint32_t q) {
    Candidates& candidates = candidates_[q];
    if (job_.excluded_offsets != nullptr && !excluded_[q].empty())
      candidates.filter([&](std::uint32_t place) {
        return std::binary_search(excluded_[q].begin(), excluded_[q].end(), label_of(place));
      });
    candidates.settle(table_);
  }

  std::size_t part_of(std::uint32_t place) const {
    std::size_t p = firsts_.size() - 1;
    while (place < firsts_[p]) --p;
    return p;
  }

  std::int64_t label_of(std::uint32_t place) const {
    const std::size_t p = part_of(place);
    const Part& part = job_.parts[p];
    const std::uint32_t row = part.order[place - firsts_[p]];
    return part.labels == nullptr ? row : part.labels[row];
  }

  // Scores the rows that are left again, from floats where there are any. Returns how many there are.
  std::int64_t finish(std::int64_t q, std::int64_t* labels, float* scores) {
    const auto i = static_cast<std::size_t>(q);
    settle(static_cast<std::uint32_t>(q));
    const Hits& hits = candidates_[i].hits();
    const std::int64_t dim = job_.parts.front().dim;
    const float* query = job_.queries + (first_ + q) * dim;
    rows_.resize(static_cast<std::size_t>(hits.count));
    found_.resize(static_cast<std::size_t>(hits.count));
    for (std::int32_t h = 0; h < hits.count; ++h) {
      const auto at = static_cast<std::size_t>(h);
      const std::size_t p = part_of(hits.places[h]);
      const Part& part = job_.parts[p];
      const std::uint32_t row = part.order[hits.places[h] - firsts_[p]];
      found_[at].label = part.labels == nullptr ? row : part.labels[row];
      rows_[at] = part.rows == nullptr ? nullptr : part.rows + static_cast<std::int64_t>(row) * dim;
      if (rows_[at] != nullptr)
        for (std::int64_t j = 0; j < dim; j += 16) __builtin_prefetch(rows_[at] + j);
    }
    // In double: both terms of a distance may be beyond floats.
    const double unit = units_[i], length = lengths_[i] * unit;
    for (std::int32_t h = 0; h < hits.count; ++h) {
      const auto at = static_cast<std::size_t>(h);
      if (rows_[at] != nullptr)
        found_[at].score = static_cast<float>(exact_score(exact_, job_.metric, query, rows_[at], dim));
      else
        found_[at].score = static_cast<float>(job_.metric == Metric::kDot ? hits.scores[h] * unit
                                                                         : 2 * hits.scores[h] * unit - length * length);
    }
    const auto better = [](const Found& a, const Found& b) {
      return a.score != b.score ? a.score > b.score : a.label < b.label;
    };
    const std::int64_t kept = std::min<std::int64_t>(job_.k, hits.count);
    std::partial_sort(found_.begin(), found_.begin() + kept, found_.end(), better);
    for (std::int64_t rank = 0; rank < kept; ++rank) {
      labels[rank] = found_[static_cast<std::size_t>(rank)].label;
      scores[rank] = found_[static_cast<std::size_t>(rank)].score;
    }
    std::fill(labels + kept, labels + job_.k, -1);
    std::fill(scores + kept, scores + job_.k, kLowest);
    return kept;
  }

  const Search& job_;
  const Kernels& table_;
  const shortlist::Kernels& exact_;
  std::vector<std::uint32_t> firsts_;  // each part's first place
  std::int64_t first_ = 0, count_ = 0;
  std::vector<std::int8_t> codes_;
  std::vector<Query> queries_, centroid_queries_;
  std::vector<float> units_;    // what a score of the codes is worth
  std::vector<float> lengths_;  // of the queries, in these units
  std::vector<Candidates> candidates_;
  std::vector<std::vector<std::int64_t>> excluded_;
  Chooser chooser_;
  std::vector<float> expected_;
  std::vector<Visit> visits_;
  std::vector<std::uint32_t> starts_, ends_, by_leaf_, everyone_;
  std::vector<const float*> rows_;
  std::vector<Found> found_;
  std::vector<bool> short_of_;
};

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
