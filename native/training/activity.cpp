#include "activity.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace shortlist::training {
namespace {

static_assert(kRowGroup == 8);  // a byte of bits is a group of columns

std::size_t size(std::int64_t length) { return static_cast<std::size_t>(length); }

}  // namespace

Activity::Activity(std::int64_t rows, std::int64_t width)
    : most_rows_(rows),
      width_(padded(width)),
      bits_(size(rows * width_ / 8)),
      columns_(size(rows / kRowGroup * width_)),
      column_counts_(size(rows / kRowGroup)),
      rows_(size(width_ / kRowGroup * rows)),
      row_counts_(size(width_ / kRowGroup)) {}

void Activity::find(const Kernels& table, std::int64_t rows, const Matrix& values) {
  const std::int64_t bytes = width_ / 8;
  std::fill(row_counts_.begin(), row_counts_.end(), 0);
  for (std::int64_t r = 0; r < rows; ++r) {
    std::uint8_t* bits = bits_.data() + r * bytes;
    table.find_active(width_, values.row(r), bits);
    for (std::int64_t g = 0; g < bytes; ++g) {  // without a branch: what does not count is written over
      rows_[size(g * most_rows_ + row_counts_[size(g)])] = static_cast<std::int32_t>(r);
      row_counts_[size(g)] += bits[g] != 0;
    }
  }
  for (std::int64_t r = 0; r < rows; r += kRowGroup) {
    std::int32_t* next = columns_.data() + r / kRowGroup * width_;
    const std::int32_t* first = next;
    for (std::int64_t g = 0; g < bytes; ++g) {
      unsigned any = 0;
      for (std::int64_t i = 0; i < kRowGroup; ++i) any |= bits_[size((r + i) * bytes + g)];
      for (; any != 0; any &= any - 1) *next++ = static_cast<std::int32_t>(8 * g + std::countr_zero(any));
    }
    column_counts_[size(r / kRowGroup)] = static_cast<std::int32_t>(next - first);
  }
}

std::vector<std::int32_t> Activity::rarest_first(std::int64_t rows, std::int64_t width) const {
  std::vector<std::int64_t> counts(size(width));
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t j = 0; j < width; ++j) counts[size(j)] += bits_[size(r * width_ / 8 + j / 8)] >> (j % 8) & 1;
  std::vector<std::int32_t> order(size(width_));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.begin() + width,
                   [&](std::int32_t one, std::int32_t other) { return counts[size(one)] < counts[size(other)]; });
  return order;
}

}  // namespace shortlist::training
