// What goes into a table and comes out of it row by row: exports, imports, checkpoints.
#include <algorithm>
#include <mutex>

#include "parts.hpp"
#include "table.hpp"

namespace shortlist::dynamic {

std::vector<std::int64_t> Table::rows(bool only_changed) const {
  const std::shared_lock held(lock_);
  std::vector<std::int64_t> found;
  const auto collect = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      if (fact(row).held && (!only_changed || fact(row).changed)) found.push_back(row);
  };
  collect(options_.shared_rows, rows_.end());
  collect(kCold, kCold + cold_.end());
  return found;
}

void Table::copy_facts(const std::vector<std::int64_t>& rows, std::int64_t* ids, std::int64_t* counts,
                       std::int64_t* last_seen) const {
  const std::shared_lock held(lock_);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Fact& each = fact(rows[i]);
    ids[i] = each.id;
    counts[i] = each.count;
    last_seen[i] = each.last_seen;
  }
}

void Table::copy_numbers(const std::vector<std::int64_t>& rows, float* weights, float* state, int threads) const {
  const std::shared_lock held(lock_);
  const StateWidth state_width = rows_.width();
  const std::int64_t dim = options_.dim, width = state_width.first + state_width.second;
  run_parts(static_cast<std::int64_t>(rows.size()), 8 * dim, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = rows[static_cast<std::size_t>(i)];
      if (row < kCold) {
        rows_.copy_out(row, weights + i * dim, state + i * width);
      } else {
        std::copy_n(cold_.weights(row - kCold), dim, weights + i * dim);
        std::copy_n(cold_.state(row - kCold), width, state + i * width);
      }
    }
  });
}

void Table::copy_in(const Records& from, std::int64_t count) {
  const std::unique_lock held(lock_);
  forget_last();
  const StateWidth state = rows_.width();
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t row = found(from.ids[i]);
    if (row >= kCold) row = warm(row);
    if (row < 0) {
      row = rows_.take(from.ids[i]);
      map_.set(from.ids[i], static_cast<std::uint32_t>(row));
    }
    Fact& fact = rows_.fact(row);
    fact.count = static_cast<std::uint32_t>(std::clamp<std::int64_t>(from.counts[i], 0, kMostSightings));
    fact.last_seen = static_cast<std::uint32_t>(std::clamp<std::int64_t>(from.last_seen[i], 0, UINT32_MAX));
    fact.changed = 1;
    rows_.copy_in(row, from.weights + i * options_.dim, from.state + i * (state.first + state.second));
    spill();
  }
}

void Table::copy_in_shared(const float* weights, const float* state) {
  const std::unique_lock held(lock_);
  const StateWidth width = rows_.width();
  for (std::int64_t row = 0; row < options_.shared_rows; ++row)
    rows_.copy_in(row, weights + row * options_.dim, state + row * (width.first + width.second));
}

void Table::settle() {
  const std::unique_lock held(lock_);
  forget_last();
  for (std::int64_t row = 0; row < rows_.end(); ++row) rows_.fact(row).changed = 0;
  for (std::int64_t row = 0; row < cold_.end(); ++row) cold_.fact(row).changed = 0;
}

void Table::drop_state() {
  const std::unique_lock held(lock_);
  forget_last();
  warm_all();
  rows_.drop_state();
}

void Table::hold_state(Kind kind, float initial) {
  const std::unique_lock held(lock_);
  rows_.hold_state(kind, initial);
}

}  // namespace shortlist::dynamic
