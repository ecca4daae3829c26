// The kernels in plain C++: what runs where there is no AVX, and what the other tables must agree with.
#include "encode.hpp"
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

int code_panels(const CodeBlock& block, const CodeQueries& queries, int panels, Hit* hits) {
  std::int32_t low[kLanes];
  for (int i = 0; i < panels * kPanel; ++i)
    low[i] = clamp_threshold(
        code_threshold(block, queries.bound[i], queries.square[i], queries.residual[i], queries.norm[i]));
  int found = 0;
  for (int r = 0; r < kBlockRows; ++r) {
    if ((block.allowed >> r & 1) == 0) continue;
    const std::uint8_t* row = block.codes + r * block.stride;
    for (int p = 0; p < panels; ++p) {
      const std::int8_t* panel = queries.codes + p * block.stride * kPanel;
      std::int32_t sums[kPanel];
      for (int i = 0; i < kPanel; ++i) sums[i] = queries.start[p * kPanel + i];
      for (std::int64_t j = 0; j < block.stride; j += 4)
        for (int i = 0; i < kPanel; ++i) {
          const std::int8_t* q = panel + j * kPanel + i * 4;
          sums[i] += row[j] * q[0] + row[j + 1] * q[1] + row[j + 2] * q[2] + row[j + 3] * q[3];
        }
      for (int i = 0; i < kPanel; ++i) {
        const int lane = p * kPanel + i;
        if (sums[i] >= low[lane])
          hits[found++] = {static_cast<std::uint16_t>(r), static_cast<std::uint16_t>(lane), sums[i]};
      }
    }
  }
  return found;
}

int code_row(const CodeBlock& block, const CodeQueries& query, Hit* hits) {
  const std::int32_t low = clamp_threshold(
      code_threshold(block, query.bound[0], query.square[0], query.residual[0], query.norm[0]));
  int found = 0;
  for (int r = 0; r < kBlockRows; ++r) {
    if ((block.allowed >> r & 1) == 0) continue;
    const std::uint8_t* row = block.codes + r * block.stride;
    std::int32_t sum = query.start[0];
    for (std::int64_t j = 0; j < block.stride; ++j) sum += row[j] * query.codes[j];
    if (sum >= low) hits[found++] = {static_cast<std::uint16_t>(r), 0, sum};
  }
  return found;
}

}  // namespace

const Kernels kPortable = {
    "portable",  127,     dot, squared_distance, encode_rows<plain_largest_magnitude, plain_encode_row>,
    code_panels, code_row};

}  // namespace shortlist
