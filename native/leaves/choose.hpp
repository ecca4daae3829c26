// Which leaves a query looks at.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace shortlist::leaves {

// Chooses leaves by their expected best score until they hold enough rows. One for each thread.
class Chooser {
 public:
  // The best leaves that hold `effort` rows together, in no order; valid until the next call. `expected` has
  // an entry for each leaf, `sizes` says how many rows it holds.
  const std::vector<std::uint32_t>& choose(const Kernels& table, const float* expected, const float* sizes,
                                           std::int64_t leaves, float effort);

 private:
  void cut(const Kernels& table, float effort);

  std::vector<std::uint32_t> places_;
  std::vector<float> reached_;
  std::vector<float> weights_;
  std::vector<std::uint32_t> chosen_;
  std::vector<std::uint32_t> edge_;
  std::int64_t found_ = 0;
  float most_ = 0;
  float least_ = 0;
  // How far below the best leaf the last queries had to go, in units of the distance to the mean leaf: only a
  // guess of where to begin, the choice does not depend on it.
  float depth_ = 0.5f;
};

}  // namespace shortlist::leaves
