// Rows of numbers as the kernels like them in memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <vector>

#include "kernels.hpp"

namespace shortlist::training {

// Memory that begins with a line of the cache.
template <class T>
struct OnLines {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  OnLines() = default;
  template <class U>
  OnLines(const OnLines<U>&) {}

  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kLine)); }
  void deallocate(T* place, std::size_t) { ::operator delete(place, kLine); }
  bool operator==(const OnLines&) const { return true; }
};

using Floats = std::vector<float, OnLines<float>>;

// Zeros at first. There are whole groups of rows, and room behind the last; an odd number of lines from row to row, so
// that the rows of a column share no few lines of the cache.
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::int64_t rows, std::int64_t width)
      : rows_(rounded_up(rows, kRowGroup)),
        stride_(padded(width) + (padded(width) % (2 * kRoom) == 0 ? kRoom : 0)),
        numbers_(static_cast<std::size_t>(rows_ * stride_ + kRoom)) {}

  std::int64_t rows() const { return rows_; }
  float* row(std::int64_t number) { return numbers_.data() + number * stride_; }
  const float* row(std::int64_t number) const { return numbers_.data() + number * stride_; }
  Target at(std::int64_t row, std::int64_t column = 0) { return {this->row(row) + column, stride_}; }
  Source at(std::int64_t row, std::int64_t column = 0) const { return {this->row(row) + column, stride_}; }
  Floats& numbers() { return numbers_; }

 private:
  std::int64_t rows_ = 0, stride_ = 0;
  Floats numbers_;
};

// A matrix in panels.
class Packed {
 public:
  Packed() = default;

  // That of the numbers (i, j) at from[rows[i] * by_row + columns[j] * by_column], i < inputs and j < outputs; what of
  // the two is null is in order.
  Packed(const float* from, std::int64_t inputs, std::int64_t outputs, std::int64_t by_row, std::int64_t by_column,
         const Kernels& table, const std::int32_t* rows = nullptr, const std::int32_t* columns = nullptr)
      : inputs_(inputs), outputs_(padded(outputs)), numbers_(static_cast<std::size_t>(inputs_ * outputs_)) {
    float* to = numbers_.data();
    for (std::int64_t column = 0; column < outputs_; column += table.panel) {
      const std::int64_t width = std::min(table.panel, outputs_ - column), used = std::min(width, outputs - column);
      for (std::int64_t i = 0; i < inputs; ++i, to += width) {
        const float* row = from + (rows == nullptr ? i : rows[i]) * by_row;
        for (std::int64_t j = 0; j < used; ++j)
          to[j] = row[(columns == nullptr ? column + j : columns[column + j]) * by_column];
      }
    }
    if (table.shorten != nullptr) unit_ = table.shorten(inputs_, outputs_, numbers_.data());
  }

  Panels panels() const { return {inputs_, outputs_, numbers_.data(), unit_}; }

 private:
  std::int64_t inputs_ = 0, outputs_ = 0;
  float unit_ = 1;
  Floats numbers_;
};

}  // namespace shortlist::training
