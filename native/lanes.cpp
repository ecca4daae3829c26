#include "lanes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace shortlist {
namespace {

constexpr double kLeastQueryScale = 1e-30;  // as for rows: anything smaller is scored exactly
// Infinite, so that no scale of a block can turn them into ordinary thresholds.
constexpr float kNothing = std::numeric_limits<float>::infinity();
constexpr float kEverything = -kNothing;

// The filters compute a threshold in float with a handful of roundings, each of relative size 2^-24.
constexpr double kUp = 1.0 + 0x1p-20;
constexpr double kDown = 1.0 - 0x1p-20;

// A norm is the root of a double sum of at most kMaxDim squares: true to 4e-12 of itself.
constexpr double kLonger = 1.0 + 1e-11;
constexpr double kShorter = 1.0 - 1e-11;

// How far the double sum that is *the* score can lie from the true value, as a share of |query| |row|: the
// classic bound dim * 2^-53, and as much again for the arithmetic on intervals.
double rounding(std::int64_t dim) { return 0x1p-51 * static_cast<double>(dim + 32); }

int padded(int count) { return (count + kPanel - 1) / kPanel * kPanel; }

}  // namespace

Lanes::Lanes(const Kernels& table, Metric metric, const float* queries, int count, std::int64_t dim)
    : metric_(metric), queries_(queries), count_(count), dim_(dim), stride_(code_stride(dim)) {
  const int lanes = by_row() ? count : padded(count);
  codes_.assign(static_cast<std::size_t>(lanes * stride_), 0);
  start_.assign(lanes, 0);
  square_.assign(lanes, 0);
  residual_.assign(lanes, 0);
  norm_.assign(lanes, 0);
  scale_.assign(lanes, 1);
  length_.assign(lanes, 0);
  lost_.assign(lanes, 0);
  for (int lane = 0; lane < count; ++lane) code(table, lane);
}

void Lanes::code(const Kernels& table, int lane) {
  const float* query = this->query(lane);
  double largest = 0;
  for (std::int64_t j = 0; j < dim_; ++j) largest = std::max(largest, std::abs(static_cast<double>(query[j])));
  const double scale = std::max(largest / table.query_range, kLeastQueryScale);
  double lost = 0;
  std::int32_t sum = 0;
  for (std::int64_t j = 0; j < dim_; ++j) {
    const double exact = query[j] / scale;
    const double rounded = std::nearbyint(exact);
    const std::int8_t code = static_cast<std::int8_t>(rounded);
    const std::int64_t place =
        by_row() ? lane * stride_ + j
                 : (lane / kPanel) * kPanel * stride_ + (j / 4) * 4 * kPanel + (lane % kPanel) * 4 + j % 4;
    codes_[static_cast<std::size_t>(place)] = code;
    lost += (exact - rounded) * (exact - rounded);
    sum += code;
  }
  scale_[lane] = scale;
  length_[lane] = std::sqrt(table.dot(query, query, dim_));
  lost_[lane] = (std::sqrt(lost) + 1e-9) * scale;  // the small addend covers the divisions' rounding
  start_[lane] = -128 * sum;
  square_[lane] = metric_ == Metric::kL2 ? static_cast<float>(kDown / scale) : 0.0f;
  residual_[lane] = static_cast<float>(length_[lane] / scale * kUp);
  norm_[lane] = static_cast<float>(lost_[lane] / scale * kUp);
}

CodeQueries Lanes::view(int first, const float* bounds) const {
  const std::int64_t place = by_row() ? first * stride_ : first / kPanel * kPanel * stride_;
  return {codes_.data() + place, start_.data() + first,    bounds + first,
          square_.data() + first, residual_.data() + first, norm_.data() + first};
}

float Lanes::filter_bound(int lane, double threshold) const {
  if (lane >= count_) return kNothing;
  if (threshold == -std::numeric_limits<double>::infinity()) return kEverything;
  const double shorter = length_[lane] * kShorter;
  // -|q - v|^2 >= t  is  q.v - |v|^2 / 2 >= (t + |q|^2) / 2.
  const double goal = metric_ == Metric::kDot ? threshold : (threshold + shorter * shorter) / 2;
  const double bound = goal / scale_[lane];
  const double safe = bound - 0x1p-20 * std::abs(bound);
  // A bound beyond floats would not be a bound any more.
  return std::abs(safe) < std::numeric_limits<float>::max() ? static_cast<float>(safe) : kEverything;
}

double Lanes::best_possible(int lane, const BlockStats& stats) const {
  const double length = length_[lane];
  if (metric_ == Metric::kDot) return length * stats.longest * kUp;  // more than the sum's own rounding
  const double apart = std::max({0.0, length * kShorter - stats.longest, stats.shortest - length * kLonger});
  return -apart * apart * kDown;
}

Interval Lanes::interval(int lane, const BlockStats& stats, std::int32_t sum) const {
  const double length = length_[lane] * kLonger, row_length = stats.scale * (stats.norm + stats.residual);
  const double middle = scale_[lane] * stats.scale * sum;
  const double error = stats.scale * (length * stats.residual + lost_[lane] * stats.norm) * kUp;
  if (metric_ == Metric::kDot) {
    const double slack = error + rounding(dim_) * length * row_length;
    return {middle - slack, middle + slack};
  }
  const double reach = length + row_length;
  const double slack = 2 * error + rounding(dim_) * reach * reach;
  const double shorter = length_[lane] * kShorter;
  return {2 * (middle - slack) - stats.longest * stats.longest - length * length,
          2 * (middle + slack) - stats.shortest * stats.shortest - shorter * shorter};
}

void set_norms(const double* norms, int count, BlockStats* stats) {
  const auto [least, most] = std::minmax_element(norms, norms + count);
  stats->shortest = *least * kShorter;
  stats->longest = *most * kLonger;
}

CodeBlock code_block(const std::uint8_t* codes, std::int64_t stride, const BlockStats& stats, std::uint64_t allowed,
                     Metric metric) {
  float half_square = 0;
  if (metric == Metric::kL2) {
    const double half = stats.shortest * stats.shortest / 2;
    // Beyond floats the filter is of no use, and minus infinity makes it let every row pass.
    half_square = half < 1e30 ? static_cast<float>(half) : -std::numeric_limits<float>::infinity();
  }
  return {codes,
          stride,
          allowed,
          static_cast<float>(1.0 / stats.scale),
          static_cast<float>(stats.residual),
          static_cast<float>(stats.norm),
          half_square};
}

}  // namespace shortlist
