#include "dense.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "networks/kernels.hpp"
#include "threads.hpp"

namespace shortlist {
namespace {

using networks::kRows;

constexpr std::int64_t kQueries = networks::kRoom;  // of a group: the outputs of one layer
constexpr std::int64_t kMostRows = 1 << 16;         // whose scores for a group fill 4 MiB
constexpr std::int64_t kShare = 32;                 // one result in so many rows is worth it
constexpr std::int64_t kFewest = 6;                 // queries that are worth the memory for a group
constexpr float kLowest = -std::numeric_limits<float>::infinity();  // of a row that is not allowed
constexpr double kAll = std::numeric_limits<double>::lowest();

std::int64_t rows_of(const Search& job) {
  std::int64_t rows = 0;
  for (const Segment& segment : job.segments) rows += segment.count;
  return rows;
}

// One thread's groups of queries.
class Dense {
 public:
  explicit Dense(const Search& job)
      : job_(job),
        table_(kernels()),
        rows_(rows_of(job)),
        width_(networks::padded(job.dim)),
        packed_(static_cast<std::size_t>((job.dim + 1) * kQueries)),
        block_(static_cast<std::size_t>(kRows * width_)),
        scores_(static_cast<std::size_t>(rows_ * kQueries)) {}

  // Queries `first` to `first + count`; false as for `dense_search`.
  bool answer(std::int64_t first, std::int64_t count, std::int64_t* labels, double* scores) {
    std::fill(packed_.begin(), packed_.end(), 0.0f);
    for (std::int64_t q = 0; q < count; ++q)
      for (std::int64_t k = 0; k < job_.dim; ++k) packed_[k * kQueries + q] = query(first + q)[k];
    sizes_.fill(0);
    odd_.fill(0);
    std::int64_t begin = 0;
    for (const Segment& segment : job_.segments) {
      score(segment, begin, count);
      begin += segment.count;
    }
    for (const float odd : odd_)
      if (odd != 0) return false;
    largest_ = *std::max_element(sizes_.begin(), sizes_.end());
    for (std::int64_t q = 0; q < count; ++q) {
      const std::int64_t place = (first + q) * job_.k;
      choose(first + q, scores_.data() + q * rows_, labels + place, scores + place);
    }
    return true;
  }

 private:
  const float* query(std::int64_t number) const { return job_.queries + number * job_.dim; }

  void score(const Segment& segment, std::int64_t begin, std::int64_t count) {
    const networks::Layer layer = {job_.dim, kQueries, packed_.data()};
    const networks::Kernels& network = networks::kernels();
    float products[kRows * kQueries];
    for (std::int64_t row = 0; row < segment.count; row += kRows) {
      const std::int64_t some = std::min<std::int64_t>(kRows, segment.count - row);
      const float* from = segment.rows + row * job_.dim;
      if (some < kRows || width_ != job_.dim) {
        std::fill(block_.begin(), block_.end(), 0.0f);
        for (std::int64_t r = 0; r < some; ++r) std::copy_n(from + r * job_.dim, job_.dim, block_.data() + r * width_);
        from = block_.data();
      }
      note_sizes(from);
      network.linear(layer, from, products);
      for (std::int64_t i = 0; i < kRows * kQueries; ++i) odd_[i % kQueries] += products[i] * 0.0f;
      for (std::int64_t q = 0; q < count; ++q) {
        float* to = scores_.data() + q * rows_ + begin + row;
        for (std::int64_t r = 0; r < some; ++r) to[r] = products[r * kQueries + q];
      }
    }
    if (segment.dead == nullptr && job_.where == nullptr) return;
    for (std::int64_t row = 0; row < segment.count; ++row)
      if (!allowed(segment, row))
        for (std::int64_t q = 0; q < count; ++q) scores_[q * rows_ + begin + row] = kLowest;
  }

  // In lanes, which the compiler makes vectors of.
  void note_sizes(const float* block) {
    for (std::int64_t i = 0; i < kRows * width_; i += kQueries)
      for (std::int64_t lane = 0; lane < kQueries; ++lane) {
        const float size = std::abs(block[i + lane]);
        sizes_[lane] = size > sizes_[lane] ? size : sizes_[lane];
      }
  }

  std::int64_t label_of(const Segment& segment, std::int64_t row) const {
    return segment.labels == nullptr ? row : segment.labels[row];
  }

  bool allowed(const Segment& segment, std::int64_t row) const {
    return !(segment.dead != nullptr && segment.dead[row]) &&
           (job_.where == nullptr || job_.where[label_of(segment, row)]);
  }

  // What a score in single precision may be off by, whatever the order of its sum.
  double error_of(const float* query) const {
    double sizes = 0;
    for (std::int64_t k = 0; k < job_.dim; ++k) sizes += std::abs(static_cast<double>(query[k]));
    const double unit = std::ldexp(1.0, -24) * static_cast<double>(job_.dim + 2);
    return unit / (1 - unit) * sizes * largest_ + 1e-37;
  }

  // The k-th best and all that may be better lie less than two errors below the k-th best in single precision.
  void choose(std::int64_t number, const float* scores, std::int64_t* labels, double* found) {
    const std::int64_t* excluded = job_.excluded == nullptr ? nullptr : job_.excluded + job_.excluded_offsets[number];
    const std::int64_t hidden =
        excluded == nullptr ? 0 : job_.excluded_offsets[number + 1] - job_.excluded_offsets[number];
    excluded_.assign(excluded, excluded + hidden);
    std::sort(excluded_.begin(), excluded_.end());
    const double margin = 2 * error_of(query(number));
    const auto wanted = static_cast<std::size_t>(job_.k + hidden);
    double least = guess(scores, wanted) - margin;
    collect(scores, least);
    if (near_.size() < wanted) collect(scores, least = kAll);
    if (near_.size() >= wanted) {
      const double reached = kth_largest(values_, wanted) - margin;
      if (reached < least) collect(scores, reached);
      least = reached;
    }
    candidates_.clear();
    for (const Place& near : near_) {
      const float* row = near.segment->rows + near.row * job_.dim;
      const std::int64_t label = label_of(*near.segment, near.row);
      if (!(near.score >= least) || std::binary_search(excluded_.begin(), excluded_.end(), label)) continue;
      const double exact = table_.dot(query(number), row, job_.dim);
      candidates_.push_back({exact, exact, label, nullptr});
    }
    write_best(sorter_.sorted(candidates_), job_.k, labels, found);
  }

  // A score that somewhat more rows than are wanted reach, from every sixteenth row.
  double guess(const float* scores, std::size_t wanted) {
    constexpr std::int64_t kStep = 16;
    values_.clear();
    for (std::int64_t row = 0; row < rows_; row += kStep)
      if (scores[row] != kLowest) values_.push_back(scores[row]);
    const std::size_t place = wanted / kStep + wanted / (4 * kStep) + 8;
    return values_.size() > place ? kth_largest(values_, place) : kAll;
  }

  // Gathers the rows that score `least` or more.
  void collect(const float* scores, double least) {
    near_.clear();
    values_.clear();
    for (const Segment& segment : job_.segments)
      for (std::int64_t row = 0; row < segment.count; ++row, ++scores)
        if (*scores >= least && *scores != kLowest) {
          near_.push_back({&segment, row, *scores});
          values_.push_back(*scores);
        }
  }

  struct Place {
    const Segment* segment;
    std::int64_t row;
    float score;
  };

  const Search& job_;
  const Kernels& table_;
  const std::int64_t rows_, width_;
  std::vector<float> packed_, block_, scores_;
  std::vector<double> values_;
  std::vector<Place> near_;
  std::vector<std::int64_t> excluded_;
  std::vector<Candidate> candidates_;
  CandidateSorter sorter_;
  std::array<float, kQueries> sizes_, odd_;  // the largest numbers of the rows; NaN where a score is not finite
  float largest_ = 0;
};

}  // namespace

bool is_dense(const Search& job) {
  const std::int64_t rows = rows_of(job);
  return job.metric == Metric::kDot && job.batch >= kFewest && rows <= kMostRows && job.k * kShare >= rows && job.dim <= 1 << 14;
}

bool dense_search(const Search& job, std::int64_t* labels, double* scores) {
  const std::int64_t groups = (job.batch + kQueries - 1) / kQueries;
  const std::int64_t threads =
      std::min<std::int64_t>(groups, useful_threads(job.threads, rows_of(job) * job.batch * job.dim));
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> finite{true};
  run_threads(static_cast<int>(threads), [&](int) {
    Dense dense(job);
    for (std::int64_t g; (g = next.fetch_add(1)) < groups && finite;) {
      const std::int64_t first = g * kQueries;
      if (!dense.answer(first, std::min(kQueries, job.batch - first), labels, scores)) finite = false;
    }
  });
  return finite;
}

}  // namespace shortlist
