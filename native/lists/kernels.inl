// The kernels in terms of vectors of LANES floats; each instruction set includes this file with LANES and SIMD, the
// target of its functions, of its own.
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels.hpp"

namespace shortlist::lists {
namespace {

#include "../vectors.inl"

// e^x for x <= 0.
INLINE Vec natural(Vec x) { return exponential(x * 1.44269504088896341f); }

INLINE Vec absolute(Vec x) { return x < 0.0f ? -x : x; }

// log(1 + e) for e from 0 to 1, to the last digits of small ones too: 2 artanh(e / (2 + e)).
INLINE Vec log_one_plus(Vec e) {
  const Vec z = e / (2.0f + e), square = z * z;
  Vec p = square * (2.0f / 15) + 2.0f / 13;
  p = p * square + 2.0f / 11;
  p = p * square + 2.0f / 9;
  p = p * square + 2.0f / 7;
  p = p * square + 2.0f / 5;
  p = p * square + 2.0f / 3;
  return z * (p * square + 2.0f);
}

// Ones in the last `count` lanes, zeros before them.
INLINE Vec last_lanes(std::int64_t count) {
  static constexpr float kOnes[2 * LANES] = {
#if LANES == 16
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
#elif LANES == 8
      0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1
#else
      0, 0, 0, 0, 1, 1, 1, 1
#endif
  };
  return load(kOnes + count);
}

// A list in whole vectors: the last one begins at `last`, and `fresh` of its lanes, at the end, were in none before.
SIMD PairSums cross_entropy_of(const float* scores, const float* targets, std::int64_t last, std::int64_t fresh,
                               float* slopes) {
  const Vec counted = last_lanes(fresh);
  Vec most = load(scores + last), least = load(targets + last), wanted = least * counted;
  for (std::int64_t j = 0; j < last; j += LANES) {
    const Vec value = load(scores + j), target = load(targets + j);
    most = value > most ? value : most;
    least = target < least ? target : least;
    wanted += target;
  }
  const float largest = largest_of(most), weight = total(wanted);
  Vec sum = {}, below = {};
  for (std::int64_t j = 0; j < last; j += LANES) {
    const Vec value = load(scores + j) - largest, e = natural(value);
    below += load(targets + j) * value;
    sum += e;
    if (slopes != nullptr) store(slopes + j, e);
  }
  const Vec value = load(scores + last) - largest, e = natural(value);
  below += load(targets + last) * value * counted;
  const float all = total(sum + e * counted), sums = total(below), each = weight / all;
  // A number that is not finite makes one of the three sums so: minus infinity the second, even times 0.
  if (largest_of(-least) > 0 || !std::isfinite(weight + all + sums))
    return {0, std::numeric_limits<double>::quiet_NaN()};
  if (!(weight > 0)) return {0, 0};
  if (slopes != nullptr) {
    for (std::int64_t j = 0; j < last; j += LANES)
      store(slopes + j, load(slopes + j) * each - load(targets + j));
    store(slopes + last, e * each - load(targets + last));
  }
  return {static_cast<double>(weight) * std::log(all) - sums, weight};
}

SIMD PairSums cross_entropy(const float* scores, const float* targets, std::int64_t count, float* slopes) {
  if (count == 0) return {0, 0};
  if (count >= LANES)
    return cross_entropy_of(scores, targets, count - LANES, (count - 1) % LANES + 1, slopes);
  float some_scores[LANES], some_targets[LANES], some_slopes[LANES];
  const std::int64_t before = LANES - count;
  for (std::int64_t lane = 0; lane < LANES; ++lane) {
    some_scores[lane] = scores[lane < before ? 0 : lane - before];
    some_targets[lane] = lane < before ? 0.0f : targets[lane - before];
  }
  const PairSums sums = cross_entropy_of(some_scores, some_targets, 0, count, slopes == nullptr ? nullptr : some_slopes);
  if (slopes != nullptr && sums.weight > 0)
    for (std::int64_t j = 0; j < count; ++j) slopes[j] = some_slopes[before + j];
  return sums;
}

SIMD PairSums logistic(const RankedList& list, const PairDiscounts& discounts, float* slopes) {
  PairSums sums = {0, 0};
  const std::int64_t last = list.gains != nullptr && discounts.top_n < list.count ? discounts.top_n : list.count;
  for (std::int64_t i = 0; i < last; ++i) {
    const Vec score = list.scores[i] + Vec{}, label = list.labels[i] + Vec{}, weight = list.weights[i] + Vec{};
    Vec loss = {}, weighed = {}, slope = {};
    for (std::int64_t j = i + 1; j < list.count; j += LANES) {
      const Vec apart = score - load(list.scores + j), other = load(list.labels + j);
      const Vec e = natural(-apart), rest = 1.0f / (1.0f + e);
      Vec pair = label > other ? weight : (other > label ? load(list.weights + j) : Vec{});
      if (list.gains != nullptr) {
        const Vec by_distance = load(discounts.near + j - i) * load(discounts.lift + j);
        const Vec by_rank = absolute(discounts.single[i] - load(discounts.single + j));
        pair *= absolute(list.gains[i] - load(list.gains + j)) * (by_distance + by_rank);
      }
      weighed += pair;
      loss += pair * (log_one_plus(e) + (label > other ? Vec{} : apart));
      if (slopes != nullptr) {
        const Vec pull = label > other ? -pair * e * rest : pair * rest;
        slope += pull;
        store(slopes + j, load(slopes + j) - pull);
      }
    }
    sums.loss += total(loss);
    sums.weight += total(weighed);
    if (slopes != nullptr) slopes[i] += total(slope);
  }
  return sums;
}

SIMD void smooth_ranks(const float* scores, std::int64_t count, float* ranks) {
  for (std::int64_t i = 0; i < count; ++i) {
    Vec rank = {};
    for (std::int64_t j = i + 1; j < count; j += LANES) {
      const Vec above = load(scores + j) - scores[i];
      const Vec e = natural(-absolute(above)), more = 1.0f / (1.0f + e), less = e * more;
      rank += above > 0.0f ? more : less;
      store(ranks + j, load(ranks + j) + (above > 0.0f ? less : more));
    }
    ranks[i] += total(rank);
  }
}

SIMD void smooth_rank_slopes(const float* scores, const float* by_rank, std::int64_t count, float* slopes) {
  for (std::int64_t i = 0; i < count; ++i) {
    Vec slope = {};
    for (std::int64_t j = i + 1; j < count; j += LANES) {
      const Vec e = natural(-absolute(load(scores + j) - scores[i])), more = 1.0f / (1.0f + e);
      const Vec change = (by_rank[i] - load(by_rank + j)) * (e * more * more);
      slope += change;
      store(slopes + j, load(slopes + j) - change);
    }
    slopes[i] += total(slope);
  }
}

}  // namespace
}  // namespace shortlist::lists
