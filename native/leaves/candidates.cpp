#include "candidates.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace shortlist::leaves {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr std::int64_t kRunRows = kRunBlocks * kBlock;

}  // namespace

void Candidates::reset(std::int64_t keep, std::int64_t room) {
  keep_ = keep;
  spare_ = 4 + keep / 8;
  limit_ = keep + spare_ + std::max(room, keep / 4);
  const auto size = static_cast<std::size_t>(limit_ + kRunRows + kBlock);
  if (scores_.size() < size) {
    scores_.resize(size);
    places_.resize(size);
  }
  hits_ = {scores_.data(), places_.data(), 0, kLowest};
  settled_ = 0;
}

void Candidates::settle(const Kernels& table) {
  if (hits_.count > keep_ + spare_ && !cut_by_bisection(table)) cut_exactly();
  settled_ = hits_.count;
}

// Looks for a threshold that about `keep` rows reach: a few passes over a few registers, where sorting would
// branch on every row. Fails where too many scores are the same.
bool Candidates::cut_by_bisection(const Kernels& table) {
  float low = hits_.threshold, high = table.highest(hits_.scores, hits_.count);
  if (low == kLowest) low = *std::min_element(hits_.scores, hits_.scores + hits_.count);
  for (int step = 0; step < 16; ++step) {
    const float middle = 0.5f * (low + high);
    const std::int64_t reaching = table.count_reaching(hits_.scores, hits_.count, middle);
    if (reaching < keep_) {
      high = middle;
    } else if (reaching > keep_ + spare_) {
      low = middle;
    } else {
      std::int32_t kept = 0;
      for (std::int32_t i = 0; i < hits_.count; ++i) {
        hits_.places[kept] = hits_.places[i];
        hits_.scores[kept] = hits_.scores[i];
        kept += hits_.scores[i] >= middle;
      }
      hits_.count = kept;
      hits_.threshold = middle;
      return true;
    }
  }
  return false;
}

void Candidates::cut_exactly() {
  std::vector<float> sorted(hits_.scores, hits_.scores + hits_.count);
  const auto last = sorted.begin() + keep_ - 1;
  std::nth_element(sorted.begin(), last, sorted.end(), std::greater<>());
  const float worst = *last;
  std::int64_t ties = keep_ - std::count_if(sorted.begin(), sorted.end(), [&](float score) { return score > worst; });
  std::int32_t kept = 0;
  for (std::int32_t i = 0; i < hits_.count; ++i) {
    if (!(hits_.scores[i] > worst) && !(hits_.scores[i] == worst && ties-- > 0)) continue;
    hits_.scores[kept] = hits_.scores[i];
    hits_.places[kept++] = hits_.places[i];
  }
  hits_.count = kept;
  // Rows as good as the worst would only take each other's place.
  hits_.threshold = std::nextafter(worst, std::numeric_limits<float>::infinity());
}

}  // namespace shortlist::leaves
