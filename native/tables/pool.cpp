#include "pool.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "../team.hpp"
#include "prefetch.hpp"

namespace shortlist::tables {
namespace {

constexpr float kSteepest = 30.0f, kLeast = 1e-30f;  // as in HistoryEncoder, whose scores stay small

// Shares `count` things out: `work(begin, end)` for each thread.
template <class Work>
void share(std::int64_t count, std::int64_t bytes, int threads, const Work& work) {
  const int used = useful_threads(threads, bytes);
  run_team(used, [&](int thread) { work(count * thread / used, count * (thread + 1) / used); });
}

// Shares bags out so that all threads have about as many ids.
template <class Work>
void share(const Bags& bags, std::int64_t bytes_per_id, int threads, const Work& work) {
  const std::int64_t total = bags.offsets[bags.count];
  const int used = useful_threads(threads, total * bytes_per_id);
  const auto first = [&](int thread) {
    if (thread == used) return bags.count;
    return std::lower_bound(bags.offsets, bags.offsets + bags.count, total * thread / used) - bags.offsets;
  };
  run_team(used, [&](int thread) { work(first(thread), first(thread + 1)); });
}

template <class Number>
void ask_ahead(const Number* weight, std::int64_t dim, const std::int64_t* ids, std::int64_t at, std::int64_t end) {
  if (at + kAhead < end) ask_for(weight + ids[at + kAhead] * dim, dim);
}

template <class Number>
void add_row(const RowKernels& kernels, float* sum, const Number* row, float factor, std::int64_t dim) {
  if constexpr (std::is_same_v<Number, float>) kernels.add_scaled(sum, row, factor, dim);
  else kernels.add_scaled_half(sum, row, factor, dim);
}

template <class Number>
float product(const RowKernels& kernels, const Number* row, const float* other, std::int64_t dim) {
  if constexpr (std::is_same_v<Number, float>) return kernels.dot(row, other, dim);
  else return kernels.dot_half(row, other, dim);
}

// How much each id of a bag counts; those that are 0 do not.
void set_shares(const std::int64_t* ids, std::int64_t count, const Scores& scores, std::vector<float>& shares) {
  shares.assign(static_cast<std::size_t>(count), 0.0f);
  float sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (ids[i] == 0) continue;
    float power = 1;
    if (scores.of_row != nullptr)
      power = std::exp(std::clamp(scores.of_row[ids[i]] + scores.of_distance[count - 1 - i], -kSteepest, kSteepest));
    shares[static_cast<std::size_t>(i)] = power;
    sum += power;
  }
  for (float& each : shares) each /= std::max(sum, kLeast);
}

}  // namespace

template <class Number>
void gather(const Number* weight, std::int64_t dim, const std::int64_t* ids, std::int64_t count, float* rows,
            int threads) {
  const RowKernels& kernels = row_kernels();
  share(count, count * dim * static_cast<std::int64_t>(sizeof(float)), threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      ask_ahead(weight, dim, ids, i, end);
      const Number* row = weight + ids[i] * dim;
      if constexpr (std::is_same_v<Number, float>) std::copy_n(row, dim, rows + i * dim);
      else kernels.widen(row, dim, rows + i * dim);
    }
  });
}

template <class Number>
void pool(const Number* weight, std::int64_t dim, const Bags& bags, float* sums, int threads) {
  const RowKernels& kernels = row_kernels();
  share(bags, dim * static_cast<std::int64_t>(sizeof(Number)), threads,
        [&](std::int64_t begin, std::int64_t end) {
          const std::int64_t last = bags.offsets[end];
          for (std::int64_t bag = begin; bag < end; ++bag) {
            float* sum = sums + bag * dim;
            std::fill_n(sum, dim, 0.0f);
            for (std::int64_t i = bags.offsets[bag]; i < bags.offsets[bag + 1]; ++i) {
              ask_ahead(weight, dim, bags.ids, i, last);
              if (bags.ids[i] == 0) continue;
              const float factor = bags.factors == nullptr ? 1.0f : bags.factors[i];
              add_row(kernels, sum, weight + bags.ids[i] * dim, factor, dim);
            }
          }
        });
}

template <class Number>
void factor_gradients(const Number* weight, std::int64_t dim, const Bags& bags, const float* gradients, float* factors,
                      int threads) {
  const RowKernels& kernels = row_kernels();
  share(bags, dim * static_cast<std::int64_t>(sizeof(Number)), threads,
        [&](std::int64_t begin, std::int64_t end) {
          const std::int64_t last = bags.offsets[end];
          for (std::int64_t bag = begin; bag < end; ++bag)
            for (std::int64_t i = bags.offsets[bag]; i < bags.offsets[bag + 1]; ++i) {
              ask_ahead(weight, dim, bags.ids, i, last);
              const Number* row = weight + bags.ids[i] * dim;
              factors[i] = bags.ids[i] == 0 ? 0.0f : product(kernels, row, gradients + bag * dim, dim);
            }
        });
}

void add_means(const float* weight, std::int64_t dim, const Bags& bags, const Scores& scores, float* sums,
               std::int64_t stride, int threads) {
  const RowKernels& kernels = row_kernels();
  share(bags, dim * static_cast<std::int64_t>(sizeof(float)), threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> shares;
    for (std::int64_t bag = begin; bag < end; ++bag) {
      const std::int64_t first = bags.offsets[bag], count = bags.offsets[bag + 1] - first;
      const std::int64_t* ids = bags.ids + first;
      for (std::int64_t i = 0; i < count; ++i) ask_for(weight + ids[i] * dim, dim);
      set_shares(ids, count, scores, shares);
      float* sum = sums + bag * stride;
      for (std::int64_t i = 0; i < count; ++i)
        if (ids[i] != 0) kernels.add_scaled(sum, weight + ids[i] * dim, shares[static_cast<std::size_t>(i)], dim);
    }
  });
}

void mean_factors(const Bags& bags, float* factors) {
  for (std::int64_t bag = 0; bag < bags.count; ++bag) {
    const std::int64_t begin = bags.offsets[bag], end = bags.offsets[bag + 1];
    const auto known = end - begin - std::count(bags.ids + begin, bags.ids + end, 0);
    std::fill(factors + begin, factors + end, known == 0 ? 0.0f : 1.0f / static_cast<float>(known));
  }
}

template void gather(const float*, std::int64_t, const std::int64_t*, std::int64_t, float*, int);
template void gather(const Bfloat16*, std::int64_t, const std::int64_t*, std::int64_t, float*, int);
template void pool(const float*, std::int64_t, const Bags&, float*, int);
template void pool(const Bfloat16*, std::int64_t, const Bags&, float*, int);
template void factor_gradients(const float*, std::int64_t, const Bags&, const float*, float*, int);
template void factor_gradients(const Bfloat16*, std::int64_t, const Bags&, const float*, float*, int);

}  // namespace shortlist::tables
