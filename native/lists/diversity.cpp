#include "diversity.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace shortlist::lists {
namespace {

constexpr std::int64_t kWide = 16;     // products added up side by side, which the compiler makes vectors of
constexpr double kSteps = 1 << 30;     // gains closer than one of these are equal, so that rounding never decides
constexpr float kShortest = 1e-12f;    // what the length of a vector is divided by at least

float dot(const float* one, const float* other, std::int64_t width) {
  float sums[kWide] = {};
  for (std::int64_t i = 0; i < width; i += kWide)
    for (std::int64_t lane = 0; lane < kWide; ++lane) sums[lane] += one[i + lane] * other[i + lane];
  float sum = 0;
  for (const float each : sums) sum += each;
  return sum;
}

// One list at a time; keeps its memory.
class Picker {
 public:
  Picker(const Vectors& vectors, double strength)
      : vectors_(vectors), width_((vectors.dim + kWide - 1) / kWide * kWide), strength_(strength) {}

  // Positions are counted from `first` on.
  void pick(const float* scores, const std::int64_t* items, std::int64_t first, std::int64_t count, std::int64_t picks,
            std::int64_t* order, float* penalty) {
    take(scores, items, count);
    std::int64_t done = 0;
    for (; done < std::min(picks, count); ++done) {
      const std::int64_t best = this->best(count);
      order[done] = first + best;
      free_[best] = false;
      compare(best, count);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      if (free_[i]) order[done++] = first + i;
      penalty[i] = static_cast<float>(penalty_[i]);
    }
  }

 private:
  void take(const float* scores, const std::int64_t* items, std::int64_t count) {
    const auto size = static_cast<std::size_t>(count);
    units_.assign(size * static_cast<std::size_t>(width_), 0.0f);
    gain_.resize(size);
    penalty_.assign(size, 0.0);
    free_.assign(size, true);
    if (count == 0) return;
    const auto [lowest, highest] = std::minmax_element(scores, scores + count);
    const double low = *lowest, spread = static_cast<double>(*highest) - low;
    for (std::int64_t i = 0; i < count; ++i) {
      gain_[i] = (1 - strength_) * (spread > 0 ? (scores[i] - low) / spread : 1.0);
      float* unit = units_.data() + i * width_;
      std::copy_n(vectors_.rows + items[i] * vectors_.dim, vectors_.dim, unit);
      const float length = std::max(std::sqrt(dot(unit, unit, width_)), kShortest);
      for (std::int64_t k = 0; k < vectors_.dim; ++k) unit[k] /= length;
    }
  }

  std::int64_t best(std::int64_t count) const {
    std::int64_t found = 0;
    double most = -std::numeric_limits<double>::infinity();
    for (std::int64_t i = 0; i < count; ++i) {
      const double gain = std::nearbyint((gain_[i] - strength_ * penalty_[i]) * kSteps);
      if (free_[i] && gain > most) {
        most = gain;
        found = i;
      }
    }
    return found;
  }

  void compare(std::int64_t picked, std::int64_t count) {
    const float* unit = units_.data() + picked * width_;
    for (std::int64_t i = 0; i < count; ++i) {
      const double cosine = dot(unit, units_.data() + i * width_, width_);
      if (free_[i]) penalty_[i] = std::max(penalty_[i], std::clamp(cosine, 0.0, 1.0));
    }
  }

  const Vectors vectors_;
  const std::int64_t width_;
  const double strength_;
  std::vector<float> units_;
  std::vector<double> gain_, penalty_;
  std::vector<char> free_;
};

}  // namespace

void marginal_relevance(const Batch& batch, const std::int64_t* items, const Vectors& vectors, double strength,
                        std::int64_t picks, std::int64_t* order, float* penalty) {
  Picker picker(vectors, strength);
  for (std::int64_t number = 0; number < batch.lists; ++number) {
    const std::int64_t first = batch.offsets[number], count = batch.offsets[number + 1] - first;
    picker.pick(batch.scores + first, items + first, first, count, picks, order + first, penalty + first);
  }
}

}  // namespace shortlist::lists
