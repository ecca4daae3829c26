#include "rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

namespace shortlist::dynamic {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 40;  // of addresses that one array may take

std::unique_ptr<Arena> array_of(std::int64_t width) {
  const std::size_t row_bytes = static_cast<std::size_t>(width) * sizeof(float);
  return std::make_unique<Arena>(std::min(kMostBytes, static_cast<std::size_t>(kMostRows) * row_bytes));
}

void grow(Arena& arena, std::int64_t rows, std::int64_t width) {
  arena.grow(static_cast<std::size_t>(rows * width) * sizeof(float));
}

}  // namespace

StateWidth state_width(Kind kind, std::int64_t dim) {
  switch (kind) {
    case Kind::kSgd: return {0, 0};
    case Kind::kAdagrad: return {dim, 0};
    case Kind::kRowwiseAdagrad: return {1, 0};
    case Kind::kAdam: return {dim, dim};
  }
  return {0, 0};
}

Rows::Rows(std::int64_t dim)
    : dim_(dim),
      weights_(array_of(dim)),
      facts_(std::make_unique<Arena>(static_cast<std::size_t>(kMostRows) * sizeof(Fact))),
      initial_(std::numeric_limits<float>::quiet_NaN()) {}

std::size_t Rows::bytes() const {
  const StateWidth state = width();
  return static_cast<std::size_t>(end_) *
         (static_cast<std::size_t>(dim_ + state.first + state.second) * sizeof(float) + sizeof(Fact));
}

std::int64_t Rows::take(std::int64_t id) {
  std::int64_t row = end_;
  if (released_.empty()) {
    if (row >= kMostRows) throw std::bad_alloc();
    grow(*weights_, row + 1, dim_);
    facts_->grow(static_cast<std::size_t>(row + 1) * sizeof(Fact));
    if (first_) grow(*first_, row + 1, width().first);
    if (second_) grow(*second_, row + 1, width().second);
    ++end_;
  } else {
    row = released_.back();
    released_.pop_back();
  }
  fact(row) = {id, 0, 1, 1, 0, 0};
  reset_state(row);
  return row;
}

void Rows::release(std::int64_t row) {
  fact(row).held = 0;
  released_.push_back(row);
}

void Rows::hold_state(Kind kind, float initial) {
  if (!kind_) {
    kind_ = kind;
    const StateWidth state = width();
    if (state.first > 0) grow(*(first_ = array_of(state.first)), end_, state.first);
    if (state.second > 0) grow(*(second_ = array_of(state.second)), end_, state.second);
    for (std::int64_t row = 0; row < end_; ++row) fact(row).unset = 1;
  }
  if (std::isnan(initial)) return;
  const bool waited = std::isnan(initial_);
  initial_ = initial;
  for (std::int64_t row = 0; waited && row < end_; ++row)
    if (fact(row).unset) reset_state(row);
}

void Rows::drop_state() {
  initial_ = std::numeric_limits<float>::quiet_NaN();
  kind_.reset();
  first_.reset();
  second_.reset();
}

void Rows::reset_state(std::int64_t row) const {
  fact(row).unset = std::isnan(initial_);
  fact(row).changed = 1;
  const StateWidth state = width();
  if (state.first > 0) std::fill_n(first(row), state.first, state.second > 0 || std::isnan(initial_) ? 0.0f : initial_);
  if (state.second > 0) std::fill_n(second(row), state.second, 0.0f);
}

tables::Table Rows::table() const {
  return {static_cast<float*>(weights_->data()), first_ ? static_cast<float*>(first_->data()) : nullptr,
          second_ ? static_cast<float*>(second_->data()) : nullptr, end_, dim_};
}

void Rows::copy_out(std::int64_t row, float* weights, float* state) const {
  std::copy_n(weight(row), dim_, weights);
  const StateWidth held = width();
  if (held.first > 0) std::copy_n(first(row), held.first, state);
  if (held.second > 0) std::copy_n(second(row), held.second, state + held.first);
}

void Rows::copy_in(std::int64_t row, const float* weights, const float* state) const {
  fact(row).unset = 0;
  std::copy_n(weights, dim_, weight(row));
  const StateWidth held = width();
  if (held.first > 0) std::copy_n(state, held.first, first(row));
  if (held.second > 0) std::copy_n(state + held.first, held.second, second(row));
}

}  // namespace shortlist::dynamic
