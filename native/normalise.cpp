#include "normalise.hpp"

#include <algorithm>
#include <cmath>

#include "kernels.hpp"

namespace shortlist {

void normalise(const float* rows, std::int64_t count, std::int64_t dim, float* normalised) {
  const Kernels& table = kernels();
  for (std::int64_t i = 0; i < count; ++i, rows += dim, normalised += dim) {
    const double length = std::sqrt(table.dot(rows, rows, dim));
    if (length > 0)
      std::transform(rows, rows + dim, normalised,
                     [length](float value) { return static_cast<float>(static_cast<double>(value) / length); });
    else
      std::copy_n(rows, dim, normalised);
  }
}

}  // namespace shortlist
