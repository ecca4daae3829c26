#include "softmax.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../team.hpp"
#include "columns.hpp"
#include "kernels.hpp"

namespace shortlist::softmax {
namespace {

constexpr float kLn2 = 0.693147180559945309f;
// Rows of a tile: few leave it in a core's own cache, many read the candidates less often, which is what takes time
// where those are wide.
constexpr std::int64_t kFewRows = 48, kManyRows = 96, kWide = 64;
constexpr std::int64_t kMostColumns = 1 << 14;  // candidates that meet a block of queries at once
// Products that take as long as a byte of memory: a thread pays from 2^24 on, about a millisecond.
constexpr std::int64_t kProductsPerByte = 1 << 4;

// What is known of every query once it has met some columns. Scores are logarithms to base 2.
struct Rows {
  // The positive's score; the largest of the others', and the sum of their powers relative to it.
  Floats positive, largest, others;

  explicit Rows(std::int64_t batch)
      : positive(static_cast<std::size_t>(batch), kLowest),
        largest(static_cast<std::size_t>(batch), std::numeric_limits<float>::lowest()),
        others(static_cast<std::size_t>(batch), 0.0f) {}

  void add(std::size_t query, const Normaliser& found) {
    float& sum = others[query];
    sum = (sum == 0.0f ? 0.0f : sum * std::exp2(largest[query] - found.largest)) + found.sum;
    largest[query] = found.largest;
  }

  // The whole sum, in which a positive far above the others is infinite.
  float total(std::size_t query) const { return others[query] + std::exp2(positive[query] - largest[query]); }

  float loss(std::size_t query) const {
    const float gap = positive[query] - largest[query];
    // The gap and the logarithm apart: in one sum scores of 1e4 would lose the latter.
    return gap > 0.0f ? std::log1p(others[query] * std::exp2(-gap)) : std::log(total(query)) - gap * kLn2;
  }
};

// A thread's share of what all queries give to some columns.
struct Partial {
  Floats candidates, bias;
};

// One thread's work on blocks of queries.
class Worker {
 public:
  Worker(const Problem& problem, const Kernels& table)
      : problem_(problem),
        table_(table),
        padded_(rounded_up(problem.dim, table.lanes)),
        most_rows_(padded_ < kWide ? kFewRows : kManyRows) {
    for (Floats* each : {&queries_, &packed_, &grads_}) each->resize(static_cast<std::size_t>(most_rows_ * padded_));
  }

  std::int64_t most_rows() const { return most_rows_; }

  // Scores of up to `most_rows` queries from `first` on into the tile. The positives' go to `rows`, and count no more
  // among the others.
  void score(std::int64_t first, std::int64_t count, const Columns& columns, Rows& rows) {
    first_ = first;
    count_ = count;
    tile_rows_ = rounded_up(count, kRowGroup);
    stride_ = columns.width + 16;  // not a power of two, whose rows would share few lines of the cache
    tile_.resize(static_cast<std::size_t>(most_rows_ * stride_));
    std::fill(queries_.begin(), queries_.end(), 0.0f);
    for (std::int64_t r = 0; r < count; ++r)
      for (std::int64_t k = 0; k < problem_.dim; ++k) at(queries_, r, k) = query(r)[k] * kLog2E;
    table_.pack_queries(queries_.data(), tile_rows_, padded_, packed_.data());
    table_.scores(packed_.data(), tile_rows_, padded_, columns.panels.data(), columns.width, columns.bias.data(),
                  tile_.data(), stride_);
    for (std::int64_t r = 0; r < count; ++r) apply_rules(r, columns, rows.positive[index(r)]);
  }

  // Exponentials in place of the scores; `add(query, found)` gets what was found of each query.
  template <class Add>
  void exponentiate(const Columns& columns, const Rows& rows, const Add& add) {
    for (std::int64_t r = 0; r < tile_rows_; r += 2) {
      Normaliser found[2] = {{0.0f, 0.0f}, {0.0f, 0.0f}};
      for (std::int64_t i = 0; i < 2 && r + i < count_; ++i) found[i].largest = rows.largest[index(r + i)];
      table_.exponentials(tile_.data() + r * stride_, columns.width, stride_, found);
      for (std::int64_t i = 0; i < 2 && r + i < count_; ++i) add(index(r + i), found[i]);
    }
  }

  // Adds what the tile of exponentials gives to the gradients.
  void add_gradients(const Columns& columns, const Rows& rows, const float* weights, const Gradients& out,
                     Partial& mine) {
    float factors[kManyRows] = {};
    for (std::int64_t r = 0; r < count_; ++r) factors[r] = weights[first_ + r] / rows.total(index(r));
    std::fill(grads_.begin(), grads_.end(), 0.0f);
    for (std::int64_t r = 0; r < tile_rows_; ++r)
      for (std::int64_t k = 0; k < padded_; ++k) at(queries_, r, k) *= factors[r] * kLn2;
    const float unit = table_.pack_scaled(queries_.data(), tile_rows_, padded_, packed_.data());
    table_.gradients(tile_.data(), tile_rows_, columns.width, stride_, columns.packed.data(), columns.unit,
                     packed_.data(), unit, padded_, grads_.data(), mine.candidates.data());
    if (out.bias != nullptr)
      table_.column_sums(tile_.data(), tile_rows_, columns.width, stride_, factors, mine.bias.data());
    for (std::int64_t r = 0; r < count_; ++r) {
      float* grad = out.queries + (first_ + r) * problem_.dim;
      for (std::int64_t k = 0; k < problem_.dim; ++k) grad[k] += at(grads_, r, k) * factors[r];
      const std::int64_t own = columns.place(problem_.positives[first_ + r]);
      if (own >= 0) add_positive(r, own, -factors[r] * rows.others[index(r)], out, mine);
    }
  }

 private:
  // d loss / d score of the positive is its softmax less 1, which is minus that of all others.
  void add_positive(std::int64_t r, std::int64_t own, float slope, const Gradients& out, Partial& mine) const {
    const float* candidate = problem_.candidates + problem_.positives[first_ + r] * problem_.dim;
    float* grad_query = out.queries + (first_ + r) * problem_.dim;
    float* grad_candidate = mine.candidates.data() + own * padded_;
    for (std::int64_t k = 0; k < problem_.dim; ++k) {
      grad_query[k] += slope * candidate[k];
      grad_candidate[k] += slope * query(r)[k];
    }
    if (out.bias != nullptr) mine.bias[static_cast<std::size_t>(own)] += slope;
    if (out.own_bias != nullptr) out.own_bias[first_ + r] = slope;
  }

  void apply_rules(std::int64_t r, const Columns& columns, float& positive) {
    const std::int64_t query = first_ + r, own = columns.place(problem_.positives[query]);
    const float masked = problem_.masked_score * kLog2E;
    float* scores = tile_.data() + r * stride_;
    if (own >= 0) positive = scores[own] + (problem_.own_bias == nullptr ? 0.0f : problem_.own_bias[query] * kLog2E);
    if (problem_.mask != nullptr) {
      const bool* counts = problem_.mask + query * problem_.count + columns.begin;
      for (std::int64_t j = 0; j < columns.end - columns.begin; ++j)
        if (!counts[j]) scores[j] = masked;
    }
    if (problem_.by_id != nullptr)
      for (std::int64_t i = problem_.run_begins[query]; i < problem_.run_ends[query]; ++i) {
        const std::int64_t column = columns.place(problem_.by_id[i]);
        if (column >= 0) scores[column] = masked;
      }
    if (own >= 0) scores[own] = kLowest;
  }

  std::size_t index(std::int64_t r) const { return static_cast<std::size_t>(first_ + r); }
  const float* query(std::int64_t r) const { return problem_.queries + (first_ + r) * problem_.dim; }
  float& at(Floats& matrix, std::int64_t r, std::int64_t k) const {
    return matrix[static_cast<std::size_t>(r * padded_ + k)];
  }

  const Problem& problem_;
  const Kernels& table_;
  std::int64_t padded_, most_rows_, stride_ = 0, first_ = 0, count_ = 0, tile_rows_ = 0;
  Floats tile_, queries_, packed_, grads_;
};

class Pass {
 public:
  Pass(const Problem& problem, std::string_view products, int threads)
      : problem_(problem),
        table_(kernels(products)),
        threads_(useful_threads(threads, problem.batch * problem.count * problem.dim / kProductsPerByte)),
        chunk_(std::min(problem.count, kMostColumns)),
        rows_(problem.batch),
        columns_(problem, table_),
        workers_(static_cast<std::size_t>(threads_), Worker(problem, table_)) {}

  // Each query's largest score and normaliser over all candidates.
  void normalise() {
    for_each_chunk([&] {
      for_each_block([&](Worker& worker, int) {
        const auto add = [&](std::size_t query, const Normaliser& found) { rows_.add(query, found); };
        worker.exponentiate(columns_, rows_, add);
      });
    });
  }

  void gradients(const float* weights, const Gradients& out) {
    // With all candidates in one chunk the normaliser is found on the way.
    const bool known = problem_.count > chunk_;
    if (known) normalise();
    const std::int64_t padded = rounded_up(problem_.dim, table_.lanes);
    std::fill(out.queries, out.queries + problem_.batch * problem_.dim, 0.0f);
    std::vector<Partial> partial(static_cast<std::size_t>(threads_));
    for_each_chunk([&] {
      for (Partial& each : partial) {
        each.candidates.assign(static_cast<std::size_t>(columns_.width * padded), 0.0f);
        if (out.bias != nullptr) each.bias.assign(static_cast<std::size_t>(columns_.width), 0.0f);
      }
      for_each_block([&](Worker& worker, int thread) {
        worker.exponentiate(columns_, rows_, [&](std::size_t query, const Normaliser& found) {
          if (!known) rows_.add(query, found);
        });
        worker.add_gradients(columns_, rows_, weights, out, partial[static_cast<std::size_t>(thread)]);
      });
      add_up(partial, padded, out);
    });
  }

  void losses(float* out) const {
    for (std::size_t i = 0; i < rows_.others.size(); ++i) out[i] = rows_.loss(i);
  }

 private:
  template <class Work>
  void for_each_chunk(const Work& work) {
    for (std::int64_t begin = 0; begin < problem_.count; begin += chunk_) {
      columns_.read(begin, std::min(begin + chunk_, problem_.count));
      work();
    }
  }

  // Every thread's share of the queries, block by block, scored.
  template <class Work>
  void for_each_block(const Work& work) {
    run_team(threads_, [&](int thread) {
      Worker& worker = workers_[static_cast<std::size_t>(thread)];
      const std::int64_t end = problem_.batch * (thread + 1) / threads_;
      for (std::int64_t first = problem_.batch * thread / threads_; first < end; first += worker.most_rows()) {
        worker.score(first, std::min(worker.most_rows(), end - first), columns_, rows_);
        work(worker, thread);
      }
    });
  }

  void add_up(const std::vector<Partial>& partial, std::int64_t padded, const Gradients& out) const {
    const std::int64_t count = columns_.end - columns_.begin;
    run_team(threads_, [&](int thread) {
      for (std::int64_t j = count * thread / threads_; j < count * (thread + 1) / threads_; ++j) {
        float* grad = out.candidates + (columns_.begin + j) * problem_.dim;
        for (std::int64_t k = 0; k < problem_.dim; ++k) {
          float sum = 0;
          for (const Partial& each : partial) sum += each.candidates[static_cast<std::size_t>(j * padded + k)];
          grad[k] = sum;
        }
        if (out.bias == nullptr) continue;
        float sum = 0;
        for (const Partial& each : partial) sum += each.bias[static_cast<std::size_t>(j)];
        out.bias[columns_.begin + j] = sum;
      }
    });
  }

  const Problem& problem_;
  const Kernels& table_;
  int threads_;
  std::int64_t chunk_;
  Rows rows_;
  Columns columns_;
  std::vector<Worker> workers_;
};

}  // namespace

void losses(const Problem& problem, std::string_view products, int threads, float* out) {
  Pass pass(problem, products, threads);
  pass.normalise();
  pass.losses(out);
}

void losses_and_gradients(const Problem& problem, const float* weights, std::string_view products, int threads,
                          float* out, const Gradients& gradients) {
  Pass pass(problem, products, threads);
  pass.gradients(weights, gradients);
  pass.losses(out);
}

}  // namespace shortlist::softmax
