#include "losses.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "../team.hpp"
#include "kernels.hpp"

namespace shortlist::lists {
namespace {

constexpr float kEnded = -1e30f;

// A thread must have about two milliseconds of pairs to be worth its start and its share of a core.
constexpr std::int64_t kBytesPerPair = 1;

std::int64_t pairs_of(const Batch& batch) {
  std::int64_t pairs = 0;
  for (std::int64_t i = 0; i < batch.lists; ++i) {
    const std::int64_t count = batch.offsets[i + 1] - batch.offsets[i];
    pairs += count * count / 2;
  }
  return pairs;
}

// Runs `work(worker, first, last)` for all lists, some at a time; a worker is made for each thread.
template <class Worker, class Work>
void for_runs(const Batch& batch, int threads, const Work& work) {
  std::atomic<std::int64_t> next{0};
  constexpr std::int64_t kAtOnce = 16;
  run_team(threads, [&](int) {
    Worker worker;
    for (std::int64_t first = next.fetch_add(kAtOnce); first < batch.lists; first = next.fetch_add(kAtOnce))
      work(worker, first, std::min(first + kAtOnce, batch.lists));
  });
}

// Runs `work(worker, first item, count, list)` for every list.
template <class Worker, class Work>
void for_lists(const Batch& batch, int threads, const Work& work) {
  const int useful = useful_threads(threads, pairs_of(batch) * kBytesPerPair);
  for_runs<Worker>(batch, useful, [&](Worker& worker, std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i)
      work(worker, batch.offsets[i], batch.offsets[i + 1] - batch.offsets[i], i);
  });
}

using Floats = std::vector<float>;

// Copies a list's values and fills the room after them.
void take(const float* from, std::int64_t count, float room, Floats* into) {
  into->resize(static_cast<std::size_t>(count + kRoom));
  std::copy(from, from + count, into->begin());
  std::fill(into->begin() + count, into->end(), room);
}

void zeros(std::int64_t count, Floats* values) { values->assign(static_cast<std::size_t>(count + kRoom), 0.0f); }

// A list in the order of its scores.
struct Ranking {
  std::vector<std::int64_t> order;
  Floats scores, labels, weights, gains, slopes;

  void sort(const float* by, std::int64_t count) {
    order.resize(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [by](std::int64_t a, std::int64_t b) { return by[a] > by[b]; });
  }

  void gather(const float* from, float room, Floats* into) const {
    into->resize(order.size() + kRoom);
    for (std::size_t i = 0; i < order.size(); ++i) (*into)[i] = from[order[i]];
    std::fill(into->begin() + static_cast<std::ptrdiff_t>(order.size()), into->end(), room);
  }
};

struct Padded {
  Floats scores, others, results;
};

struct Nothing {};

}  // namespace

void logistic(const Batch& batch, const float* labels, const float* weights, const float* gains,
              const Discounts& discounts, int threads, float* values, float* totals, float* slopes) {
  const Kernels& table = kernels();
  const PairDiscounts pair_discounts = {discounts.near, discounts.lift, discounts.single, discounts.top_n};
  for_lists<Ranking>(batch, threads, [&](Ranking& list, std::int64_t first, std::int64_t count, std::int64_t number) {
    list.sort(batch.scores + first, count);
    list.gather(batch.scores + first, count ? batch.scores[first + list.order.back()] : 0.0f, &list.scores);
    list.gather(labels + first, std::numeric_limits<float>::infinity(), &list.labels);
    if (weights != nullptr) {
      list.gather(weights + first, 0.0f, &list.weights);
    } else {
      list.weights.assign(static_cast<std::size_t>(count + kRoom), 0.0f);
      std::fill(list.weights.begin(), list.weights.begin() + count, 1.0f);
    }
    if (gains != nullptr) list.gather(gains + first, 0.0f, &list.gains);
    if (slopes != nullptr) zeros(count, &list.slopes);
    const RankedList ranked = {count, list.scores.data(), list.labels.data(), list.weights.data(),
                               gains == nullptr ? nullptr : list.gains.data()};
    const PairSums sums = table.logistic(ranked, pair_discounts, slopes == nullptr ? nullptr : list.slopes.data());
    const double scale = sums.weight > 0 ? 1 / sums.weight : 0;
    values[number] = static_cast<float>(sums.loss * scale);
    totals[number] = static_cast<float>(sums.weight);
    if (slopes != nullptr)
      for (std::int64_t i = 0; i < count; ++i)
        slopes[first + list.order[static_cast<std::size_t>(i)]] =
            static_cast<float>(list.slopes[static_cast<std::size_t>(i)] * scale);
  });
}

void smooth_ranks(const Batch& batch, int threads, float* ranks) {
  const Kernels& table = kernels();
  for_lists<Padded>(batch, threads, [&](Padded& list, std::int64_t first, std::int64_t count, std::int64_t) {
    take(batch.scores + first, count, kEnded, &list.scores);
    list.results.assign(static_cast<std::size_t>(count + kRoom), 1.0f);
    table.smooth_ranks(list.scores.data(), count, list.results.data());
    std::copy(list.results.begin(), list.results.begin() + count, ranks + first);
  });
}

void smooth_rank_slopes(const Batch& batch, const float* by_rank, int threads, float* slopes) {
  const Kernels& table = kernels();
  for_lists<Padded>(batch, threads, [&](Padded& list, std::int64_t first, std::int64_t count, std::int64_t) {
    take(batch.scores + first, count, kEnded, &list.scores);
    take(by_rank + first, count, 0.0f, &list.others);
    zeros(count, &list.results);
    table.smooth_rank_slopes(list.scores.data(), list.others.data(), count, list.results.data());
    std::copy(list.results.begin(), list.results.begin() + count, slopes + first);
  });
}

bool cross_entropy(const Batch& batch, const float* targets, int threads, float* values, float* totals,
                   float* slopes) {
  const Kernels& table = kernels();
  std::atomic<bool> sound{true};
  const std::int64_t bytes = batch.offsets[batch.lists] * static_cast<std::int64_t>(sizeof(float));
  for_runs<Nothing>(batch, useful_threads(threads, bytes), [&](Nothing&, std::int64_t first, std::int64_t last) {
    if (!table.cross_entropy(batch.scores, targets, batch.offsets + first, last - first, values + first,
                             totals + first, slopes))
      sound = false;
  });
  return sound;
}

void list_products(const Batch& batch, const float* factors, float* products) {
  for (std::int64_t number = 0; number < batch.lists; ++number) {
    const float factor = factors[number];
    for (std::int64_t i = batch.offsets[number]; i < batch.offsets[number + 1]; ++i)
      products[i] = batch.scores[i] * factor;
  }
}

void ideal_dcg(const Batch& batch, const float* gains, const float* discounts, std::int64_t width, float* ideal) {
  std::vector<float> best;
  for (std::int64_t number = 0; number < batch.lists; ++number) {
    best.assign(gains + batch.offsets[number], gains + batch.offsets[number + 1]);
    std::sort(best.begin(), best.end(), std::greater<float>());
    double sum = 0;
    const std::size_t count = std::min(best.size(), static_cast<std::size_t>(width));
    for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(best[i]) * discounts[i];
    ideal[number] = static_cast<float>(sum);
  }
}

}  // namespace shortlist::lists
