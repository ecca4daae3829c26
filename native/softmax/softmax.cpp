#include "softmax.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../threads.hpp"
#include "kernels.hpp"

namespace shortlist::softmax {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr std::int64_t kTileFloats = 1 << 18;   // 1 MiB stays in a core's own cache
constexpr std::int64_t kMostRows = 48;
constexpr std::int64_t kMostColumns = 1 << 14;  // candidates that meet a block of queries at once
// PyTorch's threads keep spinning for milliseconds after their own work. A second thread of ours that has to share
// its core with them pays from about four milliseconds of work on, 2^28 products.
constexpr std::int64_t kProductsPerByte = 1 << 8;

std::int64_t rounded_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Some of the candidates as the kernels read them. Columns beyond the last are zeros whose bias makes their
// exponential 0.
class Columns {
 public:
  Columns(const Problem& problem, std::int64_t begin, std::int64_t end, const Kernels& table)
      : begin(begin), end(end), width(rounded_up(end - begin, table.panel)) {
    const std::int64_t dim = problem.dim, padded = rounded_up(dim, table.lanes), panel = table.panel;
    panels.assign(static_cast<std::size_t>(width * dim), 0.0f);
    rows.assign(static_cast<std::size_t>(width * padded), 0.0f);
    bias.assign(static_cast<std::size_t>(width), kLowest);
    for (std::int64_t j = 0; j < end - begin; ++j) {
      const float* row = problem.candidates + (begin + j) * dim;
      std::copy(row, row + dim, rows.data() + j * padded);
      float* lane = panels.data() + j / panel * panel * dim + j % panel;
      for (std::int64_t k = 0; k < dim; ++k) lane[k * panel] = row[k];
      bias[static_cast<std::size_t>(j)] = problem.bias == nullptr ? 0.0f : problem.bias[begin + j];
    }
  }

  std::int64_t begin, end, width;
  std::vector<float> panels, rows, bias;
};

// One thread's work on blocks of queries.
class Worker {
 public:
  Worker(const Problem& problem, const Kernels& table)
      : problem_(problem), table_(table), padded_(rounded_up(problem.dim, table.lanes)) {}

  // Room for a tile of all the columns' width; returns how many rows it has.
  std::int64_t reserve(std::int64_t width) {
    stride_ = width + 16;  // not a power of two, whose rows would share few lines of the cache
    const std::int64_t rows = std::clamp(kTileFloats / width / kRowGroup * kRowGroup, std::int64_t{kRowGroup}, kMostRows);
    tile_.resize(static_cast<std::size_t>(rows * stride_));
    for (auto* each : {&queries_, &scaled_, &grads_}) each->resize(static_cast<std::size_t>(rows * padded_));
    return rows;
  }

  // Scores of the queries first .. first + count - 1 into the tile; `positives` gets the scores of those whose own
  // candidate is among the columns.
  void score(std::int64_t first, std::int64_t count, const Columns& columns, float* positives) {
    const std::int64_t rows = rounded_up(count, kRowGroup);
    std::fill(queries_.begin(), queries_.begin() + rows * padded_, 0.0f);
    for (std::int64_t r = 0; r < count; ++r) {
      const float* query = problem_.queries + (first + r) * problem_.dim;
      std::copy(query, query + problem_.dim, queries_.data() + r * padded_);
    }
    table_.scores(queries_.data(), rows, padded_, problem_.dim, columns.panels.data(), columns.width,
                  columns.bias.data(), tile_.data(), stride_);
    for (std::int64_t r = 0; r < count; ++r) apply_rules(first + r, columns, row(r), positives + first + r);
  }

  float* row(std::int64_t r) { return tile_.data() + r * stride_; }

  // Adds what the tile, now exponentials, gives to the gradients of its queries and of the columns' candidates.
  void add_gradients(std::int64_t first, std::int64_t count, const Columns& columns, const float* scale,
                     float* grad_queries, float* grad_candidates) {
    const std::int64_t rows = rounded_up(count, kRowGroup);
    std::fill(grads_.begin(), grads_.begin() + rows * padded_, 0.0f);
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t k = 0; k < padded_; ++k) {
        const std::int64_t at = r * padded_ + k;
        scaled_[static_cast<std::size_t>(at)] = r < count ? queries_[static_cast<std::size_t>(at)] * scale[first + r] : 0.0f;
      }
    table_.gradients(tile_.data(), rows, columns.width, stride_, columns.rows.data(), scaled_.data(), padded_,
                     grads_.data(), grad_candidates);
    for (std::int64_t r = 0; r < count; ++r) {
      float* grad = grad_queries + (first + r) * problem_.dim;
      for (std::int64_t k = 0; k < problem_.dim; ++k)
        grad[k] += grads_[static_cast<std::size_t>(r * padded_ + k)] * scale[first + r];
    }
  }

 private:
  void apply_rules(std::int64_t query, const Columns& columns, float* scores, float* positive) const {
    const std::int64_t own = problem_.positives[query] - columns.begin;
    const bool here = own >= 0 && own < columns.end - columns.begin;
    float score = here ? scores[own] : 0.0f;
    if (here && problem_.own_bias != nullptr) score += problem_.own_bias[query];
    if (problem_.mask != nullptr) {
      const bool* counts = problem_.mask + query * problem_.count + columns.begin;
      for (std::int64_t j = 0; j < columns.end - columns.begin; ++j)
        if (!counts[j]) scores[j] = problem_.masked_score;
    }
    if (problem_.by_id != nullptr)
      for (std::int64_t i = problem_.run_begins[query]; i < problem_.run_ends[query]; ++i) {
        const std::int64_t column = problem_.by_id[i];
        if (column >= columns.begin && column < columns.end) scores[column - columns.begin] = problem_.masked_score;
      }
    if (here) scores[own] = *positive = score;
  }

  const Problem& problem_;
  const Kernels& table_;
  std::int64_t padded_, stride_ = 0;
  std::vector<float> tile_, queries_, scaled_, grads_;
};

// What is known of every query once it has met some columns.
struct Rows {
  std::vector<float> positive, largest, sum;

  explicit Rows(std::int64_t batch)
      : positive(static_cast<std::size_t>(batch)),
        largest(static_cast<std::size_t>(batch), kLowest),
        sum(static_cast<std::size_t>(batch), 0.0f) {}

  void add(std::int64_t query, const Normaliser& found) {
    const auto i = static_cast<std::size_t>(query);
    sum[i] = (sum[i] == 0.0f ? 0.0f : sum[i] * std::exp(largest[i] - found.largest)) + found.sum;
    largest[i] = found.largest;
  }
};

class Pass {
 public:
  Pass(const Problem& problem, int threads)
      : problem_(problem),
        table_(kernels()),
        threads_(useful_threads(threads, problem.batch * problem.count * problem.dim / kProductsPerByte)),
        chunk_(std::min(problem.count, kMostColumns)),
        rows_(problem.batch) {}

  // Each query's largest score and normaliser over all candidates.
  void normalise() {
    for_each_chunk([&](const Columns& columns) {
      run_threads(threads_, [&](int thread) {
        for_each_block(thread, columns, [&](Worker& worker, std::int64_t first, std::int64_t count) {
          for (std::int64_t r = 0; r < count; ++r)
            rows_.add(first + r, table_.exponentials(worker.row(r), columns.width, largest(first + r)));
        });
      });
    });
  }

  void gradients(const float* weights, float* grad_queries, float* grad_candidates) {
    // With all candidates in one chunk the normaliser is found on the way.
    const bool known = problem_.count > chunk_;
    if (known) normalise();
    const std::int64_t padded = rounded_up(problem_.dim, table_.lanes);
    std::fill(grad_queries, grad_queries + problem_.batch * problem_.dim, 0.0f);
    std::vector<float> scale(static_cast<std::size_t>(problem_.batch));
    std::vector<std::vector<float>> partial(static_cast<std::size_t>(threads_));
    for_each_chunk([&](const Columns& columns) {
      run_threads(threads_, [&](int thread) {
        std::vector<float>& mine = partial[static_cast<std::size_t>(thread)];
        mine.assign(static_cast<std::size_t>(columns.width * padded), 0.0f);
        for_each_block(thread, columns, [&](Worker& worker, std::int64_t first, std::int64_t count) {
          for (std::int64_t r = 0; r < count; ++r) {
            const auto i = static_cast<std::size_t>(first + r);
            const Normaliser found = table_.exponentials(worker.row(r), columns.width, largest(first + r));
            if (!known) rows_.add(first + r, found);
            scale[i] = weights[i] / rows_.sum[i];
            // d loss / d score is the softmax, less 1 for the positive.
            const std::int64_t own = problem_.positives[i] - columns.begin;
            if (own >= 0 && own < columns.end - columns.begin) worker.row(r)[own] -= rows_.sum[i];
          }
          worker.add_gradients(first, count, columns, scale.data(), grad_queries, mine.data());
        });
      });
      add_up(partial, columns, padded, grad_candidates);
    });
  }

  void losses(float* out) const {
    for (std::size_t i = 0; i < rows_.sum.size(); ++i)
      // The largest and the logarithm together would lose the latter at scores of 1e4.
      out[i] = rows_.largest[i] - rows_.positive[i] + std::log(rows_.sum[i]);
  }

 private:
  float largest(std::int64_t query) const { return rows_.largest[static_cast<std::size_t>(query)]; }

  template <class Work>
  void for_each_chunk(const Work& work) {
    for (std::int64_t begin = 0; begin < problem_.count; begin += chunk_)
      work(Columns(problem_, begin, std::min(begin + chunk_, problem_.count), table_));
  }

  // A thread's share of the queries, block by block, scored.
  template <class Work>
  void for_each_block(int thread, const Columns& columns, const Work& work) {
    Worker worker(problem_, table_);
    const std::int64_t block = worker.reserve(columns.width);
    const std::int64_t end = problem_.batch * (thread + 1) / threads_;
    for (std::int64_t first = problem_.batch * thread / threads_; first < end; first += block) {
      const std::int64_t count = std::min(block, end - first);
      worker.score(first, count, columns, rows_.positive.data());
      work(worker, first, count);
    }
  }

  void add_up(const std::vector<std::vector<float>>& partial, const Columns& columns, std::int64_t padded,
              float* grad_candidates) const {
    const std::int64_t count = columns.end - columns.begin;
    run_threads(threads_, [&](int thread) {
      for (std::int64_t j = count * thread / threads_; j < count * (thread + 1) / threads_; ++j) {
        float* grad = grad_candidates + (columns.begin + j) * problem_.dim;
        for (std::int64_t k = 0; k < problem_.dim; ++k) {
          float sum = 0;
          for (const std::vector<float>& each : partial) sum += each[static_cast<std::size_t>(j * padded + k)];
          grad[k] = sum;
        }
      }
    });
  }

  const Problem& problem_;
  const Kernels& table_;
  int threads_;
  std::int64_t chunk_;
  Rows rows_;
};

}  // namespace

void losses(const Problem& problem, int threads, float* out) {
  Pass pass(problem, threads);
  pass.normalise();
  pass.losses(out);
}

void losses_and_gradients(const Problem& problem, const float* weights, int threads, float* out, float* grad_queries,
                          float* grad_candidates) {
  Pass pass(problem, threads);
  pass.gradients(weights, grad_queries, grad_candidates);
  pass.losses(out);
}

}  // namespace shortlist::softmax
