// The kernels in plain C++: what runs where there is no AVX, and what the other tables must agree with.
#include "kernels.hpp"

namespace shortlist {
namespace {

// Sixteen partial sums, added up in the order of a tree of halves: the wide registers of the other tables
// give the same. A product of two floats is exact in double, so fused or not makes no difference.
double sum_lanes(double* lanes) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

double dot(const float* a, const float* b, std::int64_t dim) {
  double lanes[16] = {};
  std::int64_t j = 0;
  for (; j + 16 <= dim; j += 16)
    for (int i = 0; i < 16; ++i) lanes[i] += static_cast<double>(a[j + i]) * static_cast<double>(b[j + i]);
  for (int i = 0; j + i < dim; ++i) lanes[i] += static_cast<double>(a[j + i]) * static_cast<double>(b[j + i]);
  return sum_lanes(lanes);
}

double squared_distance(const float* a, const float* b, std::int64_t dim) {
  double lanes[16] = {};
  for (std::int64_t j = 0; j < dim; j += 16) {
    const int width = dim - j < 16 ? static_cast<int>(dim - j) : 16;
    for (int i = 0; i < width; ++i) {
      const double difference = static_cast<double>(a[j + i]) - static_cast<double>(b[j + i]);
      lanes[i] += difference * difference;
    }
  }
  return sum_lanes(lanes);
}

int band_panels(const float* rows, std::int64_t dim, int count, const float* packed, int panels, const float* low,
                const float* high, std::int64_t* above, Hit* hits) {
  int found = 0;
  for (int r = 0; r < count; ++r) {
    const float* row = rows + r * dim;
    for (int p = 0; p < panels; ++p) {
      const float* panel = packed + p * dim * kPanel;
      float sums[kPanel] = {};
      for (std::int64_t j = 0; j < dim; ++j)
        for (int i = 0; i < kPanel; ++i) sums[i] += row[j] * panel[j * kPanel + i];
      for (int i = 0; i < kPanel; ++i) {
        const int lane = p * kPanel + i;
        if (sums[i] > high[lane]) {
          ++above[lane];
        } else if (!(sums[i] < low[lane])) {
          hits[found++] = {static_cast<std::uint16_t>(r), static_cast<std::uint16_t>(lane)};
        }
      }
    }
  }
  return found;
}

int at_least_row(const float* rows, std::int64_t dim, int count, const float* query, float low, Hit* hits) {
  int found = 0;
  for (int r = 0; r < count; ++r) {
    const float* row = rows + r * dim;
    float sums[8] = {};
    std::int64_t j = 0;
    for (; j + 8 <= dim; j += 8)
      for (int i = 0; i < 8; ++i) sums[i] += row[j + i] * query[j + i];
    for (; j < dim; ++j) sums[0] += row[j] * query[j];
    for (int i = 1; i < 8; ++i) sums[0] += sums[i];
    if (!(sums[0] < low)) hits[found++] = {static_cast<std::uint16_t>(r), 0};
  }
  return found;
}

int code_panels(const std::uint8_t* rows, std::int64_t stride, const std::int8_t* packed, int panels,
                const std::int32_t* low, Hit* hits) {
  int found = 0;
  for (int r = 0; r < kBlockRows; ++r) {
    const std::uint8_t* row = rows + r * stride;
    for (int p = 0; p < panels; ++p) {
      const std::int8_t* panel = packed + p * stride * kPanel;
      std::int32_t sums[kPanel] = {};
      for (std::int64_t j = 0; j < stride; j += 4)
        for (int i = 0; i < kPanel; ++i) {
          const std::int8_t* q = panel + j * kPanel + i * 4;
          sums[i] += row[j] * q[0] + row[j + 1] * q[1] + row[j + 2] * q[2] + row[j + 3] * q[3];
        }
      for (int i = 0; i < kPanel; ++i) {
        const int lane = p * kPanel + i;
        if (sums[i] >= low[lane])
          hits[found++] = {static_cast<std::uint16_t>(r), static_cast<std::uint16_t>(lane)};
      }
    }
  }
  return found;
}

int code_row(const std::uint8_t* rows, std::int64_t stride, const std::int8_t* query, std::int32_t low, Hit* hits) {
  int found = 0;
  for (int r = 0; r < kBlockRows; ++r) {
    const std::uint8_t* row = rows + r * stride;
    std::int32_t sum = 0;
    for (std::int64_t j = 0; j < stride; ++j) sum += row[j] * query[j];
    if (sum >= low) hits[found++] = {static_cast<std::uint16_t>(r), 0};
  }
  return found;
}

}  // namespace

const Kernels kPortable = {"portable",   127,          dot,         squared_distance,
                           band_panels, at_least_row, code_panels, code_row};

}  // namespace shortlist
