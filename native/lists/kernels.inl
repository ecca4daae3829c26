// The kernels in terms of vectors of LANES floats; each instruction set includes this file with LANES and SIMD, the
// target of its functions, of its own.
#include <algorithm>
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

// log(x) for finite x from 1.
INLINE Vec logarithm(Vec x) {
  const Whole bits = __builtin_bit_cast(Whole, x);
  const Vec above = __builtin_bit_cast(Vec, (bits & 0x007fffffu) | 0x3f800000u) - 1.0f;
  // The exponent's bits on top of 2^23 make a float, which is that and 127 more than wanted.
  const Vec power = __builtin_bit_cast(Vec, (bits >> 23) | 0x4b000000u) - (8388608.0f + 127.0f);
  return power * 0.693147180559945309f + log_one_plus(above);
}

// Lists that each step of the work goes through in turn, so that no list's sums are waited for.
constexpr std::int64_t kListsTogether = 16, kItemsTogether = 2048;

struct Softmaxes {
  // A list in whole vectors: the last begins at `last`, and `fresh` of its lanes, at the end, were in none before.
  struct List {
    const float* scores;
    const float* targets;
    float* slopes;
    std::int64_t last;
    std::int64_t fresh;
  };
  std::int64_t count;
  List lists[kListsTogether];
  float largest[kListsTogether];  // score
  float wanted[kListsTogether];   // sum of targets, NaN with a negative one
  float sums[kListsTogether];     // of exp(score - largest)
  float below[kListsTogether];    // of target * (score - largest)
  float short_scores[kListsTogether][LANES], short_targets[kListsTogether][LANES], short_slopes[kListsTogether][LANES];
};

// Takes a list in; one that is shorter than a vector is copied to the end of one.
SIMD void take_list(const float* scores, const float* targets, std::int64_t count, float* slopes, Softmaxes& all) {
  const std::int64_t i = all.count++;
  if (count >= LANES) {
    all.lists[i] = {scores, targets, slopes, count - LANES, (count - 1) % LANES + 1};
    return;
  }
  store(all.short_scores[i], Vec{} + (count > 0 ? scores[0] : 0.0f));
  store(all.short_targets[i], Vec{});
  for (std::int64_t j = 0; j < count; ++j) {
    all.short_scores[i][LANES - count + j] = scores[j];
    all.short_targets[i][LANES - count + j] = targets[j];
  }
  all.lists[i] = {all.short_scores[i], all.short_targets[i], slopes == nullptr ? nullptr : all.short_slopes[i], 0, count};
}

SIMD void look_through(Softmaxes& all) {
  for (std::int64_t i = 0; i < all.count; ++i) {
    const auto [scores, targets, slopes, last, fresh] = all.lists[i];
    Vec most = load(scores + last), least = load(targets + last), wanted = least * last_lanes(fresh);
    for (std::int64_t j = 0; j < last; j += LANES) {
      const Vec value = load(scores + j), target = load(targets + j);
      most = value > most ? value : most;
      least = target < least ? target : least;
      wanted += target;
    }
    all.largest[i] = largest_of(most);
    all.wanted[i] = total(least < 0.0f ? Vec{} + std::numeric_limits<float>::quiet_NaN() : wanted);
  }
}

// Leaves the exponentials in the slopes.
SIMD void exponentiate(Softmaxes& all) {
  for (std::int64_t i = 0; i < all.count; ++i) {
    const auto [scores, targets, slopes, last, fresh] = all.lists[i];
    const float largest = all.largest[i];
    Vec sum = {}, below = {};
    for (std::int64_t j = 0; j < last; j += LANES) {
      const Vec value = load(scores + j) - largest, e = natural(value);
      below += load(targets + j) * value;
      sum += e;
      if (slopes != nullptr) store(slopes + j, e);
    }
    const Vec counted = last_lanes(fresh), value = load(scores + last) - largest, e = natural(value);
    if (slopes != nullptr) store(slopes + last, e);
    all.sums[i] = total(sum + e * counted);
    all.below[i] = total(below + load(targets + last) * value * counted);
  }
}

SIMD void make_slopes(const Softmaxes& all, const float* scale) {
  for (std::int64_t i = 0; i < all.count; ++i) {
    const auto [scores, targets, slopes, last, fresh] = all.lists[i];
    const Vec ending = load(slopes + last);  // some of its lanes are about to change
    for (std::int64_t j = 0; j < last; j += LANES) store(slopes + j, load(slopes + j) * scale[i] - load(targets + j));
    store(slopes + last, ending * scale[i] - load(targets + last));
  }
}

// Of the lists that were taken in; false where a number makes no sense.
SIMD bool cross_entropies(Softmaxes& all, bool with_slopes, float* values, float* totals) {
  look_through(all);
  exponentiate(all);
  float losses[kListsTogether], scale[kListsTogether];
  Vec nothing = {};
  for (std::int64_t i = all.count; i < kListsTogether; ++i) all.wanted[i] = all.sums[i] = all.below[i] = 0;
  for (std::int64_t i = 0; i < kListsTogether; i += LANES) {
    const Vec wanted = load(all.wanted + i), sums = load(all.sums + i), below = load(all.below + i);
    store(losses + i, wanted > 0.0f ? logarithm(sums) - below / wanted : Vec{});
    store(scale + i, wanted / sums);
    // A number that is not finite makes one of the three so: minus infinity the last, even times 0.
    const Vec every = wanted + sums + below;
    nothing += every - every;
  }
  std::copy(losses, losses + all.count, values);
  std::copy(all.wanted, all.wanted + all.count, totals);
  if (with_slopes) make_slopes(all, scale);
  return total(nothing) == 0;
}

SIMD bool cross_entropy(const float* scores, const float* targets, const std::int64_t* offsets, std::int64_t lists,
                        float* values, float* totals, float* slopes) {
  bool sound = true;
  for (std::int64_t first = 0, last = 0; first < lists; first = last) {
    Softmaxes all;
    all.count = 0;
    while (last < lists && last - first < kListsTogether && offsets[last] - offsets[first] < kItemsTogether) {
      const std::int64_t begin = offsets[last], count = offsets[++last] - begin;
      take_list(scores + begin, targets + begin, count, slopes == nullptr ? nullptr : slopes + begin, all);
    }
    sound &= cross_entropies(all, slopes != nullptr, values + first, totals + first);
    for (std::int64_t i = first; slopes != nullptr && i < last; ++i)
      if (const std::int64_t count = offsets[i + 1] - offsets[i]; count < LANES)
        std::copy(all.short_slopes[i - first] + LANES - count, all.short_slopes[i - first] + LANES, slopes + offsets[i]);
  }
  return sound;
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
