// The rows of a dynamic table: their weights, the optimizer's state beside them, and what is known of each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "../tables/update.hpp"
#include "arena.hpp"

namespace shortlist::dynamic {

using Kind = tables::Rule::Kind;

constexpr std::int64_t kMostRows = std::int64_t{1} << 31;

// What is known of a row beside its numbers.
struct Fact {
  std::int64_t id;
  std::uint32_t count : 29;    // sightings, as far as that many bits reach
  std::uint32_t held : 1;      // whether the row is an id's
  std::uint32_t changed : 1;   // since the last checkpoint
  std::uint32_t unset : 1;     // whether its state waits to be told where it starts
  std::uint32_t last_seen;     // the table's clock then
};

constexpr std::uint32_t kMostSightings = (1u << 29) - 1;

// State numbers a row under a rule: Adagrad's accumulators or Adam's means, and Adam's mean squares.
struct StateWidth {
  std::int64_t first, second;
};
StateWidth state_width(Kind kind, std::int64_t dim);

// Rows are numbered, lie at the same place for good, and are used again once released.
class Rows {
 public:
  explicit Rows(std::int64_t dim);

  std::int64_t dim() const { return dim_; }
  std::int64_t end() const { return end_; }  // all numbers are below it
  std::int64_t held() const { return end_ - static_cast<std::int64_t>(released_.size()); }
  std::optional<Kind> kind() const { return kind_; }
  float initial() const { return initial_; }
  StateWidth width() const { return kind_ ? state_width(*kind_, dim_) : StateWidth{0, 0}; }
  std::size_t bytes() const;

  // A row for an id; its state is that of a row that no step has touched, its weights are whatever was there.
  std::int64_t take(std::int64_t id);
  void release(std::int64_t row);

  // Prepares the state for a rule whose accumulators start at `initial`. The rows that are there and have none start
  // alike. NaN says that it is not known yet: a later call with a number gives it to the rows made until then.
  void hold_state(Kind kind, float initial);
  void drop_state();

  float* weight(std::int64_t row) const { return static_cast<float*>(weights_->data()) + row * dim_; }
  float* first(std::int64_t row) const { return static_cast<float*>(first_->data()) + row * width().first; }
  float* second(std::int64_t row) const { return static_cast<float*>(second_->data()) + row * width().second; }
  Fact& fact(std::int64_t row) const { return static_cast<Fact*>(facts_->data())[row]; }

  tables::Table table() const;

  // The numbers of a row one after the other: weights, then state.
  void copy_out(std::int64_t row, float* weights, float* state) const;
  void copy_in(std::int64_t row, const float* weights, const float* state) const;

 private:
  void reset_state(std::int64_t row) const;

  std::int64_t dim_, end_ = 0;
  std::unique_ptr<Arena> weights_, facts_, first_, second_;
  std::vector<std::int64_t> released_;
  std::optional<Kind> kind_;
  float initial_;
};

}  // namespace shortlist::dynamic
