#include "cold_rows.hpp"

#include <sys/mman.h>

namespace shortlist::dynamic {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 42;  // of the file

}  // namespace

void ColdRows::set_widths(std::int64_t dim, std::int64_t state) {
  if (dim_ == dim && state_ == state) return;
  dim_ = dim;
  state_ = state;
  end_ = 0;
  released_.clear();
  file_.reset();
}

std::int64_t ColdRows::put(const Fact& fact) {
  if (!file_) file_ = std::make_unique<Arena>(kMostBytes, folder_);
  if (!facts_) facts_ = std::make_unique<Arena>(static_cast<std::size_t>(kMostRows) * sizeof(Fact));
  std::int64_t row = end_;
  if (released_.empty()) {
    file_->grow(static_cast<std::size_t>((row + 1) * (dim_ + state_)) * sizeof(float));
    facts_->grow(static_cast<std::size_t>(row + 1) * sizeof(Fact));
    ++end_;
  } else {
    row = released_.back();
    released_.pop_back();
  }
  this->fact(row) = fact;
  return row;
}

void ColdRows::release(std::int64_t row) {
  fact(row).held = 0;
  released_.push_back(row);
}

void ColdRows::rest() const {
  // The mapping is shared, so what was written stays in the file.
  if (file_) madvise(file_->data(), file_->size(), MADV_DONTNEED);
}

}  // namespace shortlist::dynamic
