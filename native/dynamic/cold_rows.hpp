// Rows that memory has no room for, in a file that is mapped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arena.hpp"
#include "rows.hpp"

namespace shortlist::dynamic {

// What is known of a row stays in memory; its numbers, weights and then state, lie in the file. The system keeps what
// is read often in memory that it can take back.
class ColdRows {
 public:
  // Without a folder there is no file, and nothing can be put.
  explicit ColdRows(std::string folder) : folder_(std::move(folder)) {}

  // Of the rows, weights and state together. Only while none is held.
  void set_widths(std::int64_t dim, std::int64_t state);

  std::int64_t put(const Fact& fact);  // a row for the numbers to be written to
  void release(std::int64_t row);
  std::int64_t end() const { return end_; }
  std::int64_t held() const { return end_ - static_cast<std::int64_t>(released_.size()); }

  Fact& fact(std::int64_t row) const { return static_cast<Fact*>(facts_->data())[row]; }
  float* weights(std::int64_t row) const { return static_cast<float*>(file_->data()) + row * (dim_ + state_); }
  float* state(std::int64_t row) const { return weights(row) + dim_; }

  // Lets the system take the memory back that the file's rows are in.
  void rest() const;
  std::size_t memory_bytes() const { return static_cast<std::size_t>(end_) * sizeof(Fact); }
  std::size_t file_bytes() const { return file_ ? file_->size() : 0; }

 private:
  std::string folder_;
  std::unique_ptr<Arena> file_, facts_;
  std::vector<std::int64_t> released_;
  std::int64_t dim_ = 0, state_ = 0, end_ = 0;
};

}  // namespace shortlist::dynamic
