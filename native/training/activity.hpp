// Which hidden units of a block are on. With ReLU, and examples of one user side by side, most units are off in all
// rows of a group, and a product with nothing but zeros need not be made.
#pragma once

#include <cstdint>
#include <vector>

#include "matrix.hpp"

namespace shortlist::training {

class Activity {
 public:
  Activity(std::int64_t rows, std::int64_t width);

  // What is not zero in some rows, whole groups of them.
  void find(const Kernels& table, std::int64_t rows, const Matrix& values);

  Active columns() const { return {columns_.data(), width_, column_counts_.data()}; }  // of each group of rows
  Active rows() const { return {rows_.data(), most_rows_, row_counts_.data()}; }       // of each group of columns

  // The columns, those that are not zero in the fewest of the rows last seen first; behind the width as they are.
  std::vector<std::int32_t> rarest_first(std::int64_t rows, std::int64_t width) const;

 private:
  std::int64_t most_rows_, width_;
  std::vector<std::uint8_t> bits_;  // [rows][width / 8]
  std::vector<std::int32_t> columns_, column_counts_, rows_, row_counts_;
};

}  // namespace shortlist::training
