#include "table.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <mutex>
#include <stdexcept>

#include "../tables/prefetch.hpp"
#include "mix.hpp"
#include "parts.hpp"

namespace shortlist::dynamic {
namespace {

using tables::kAhead;

constexpr std::int64_t kBytesPerLookup = 256;  // read in a row, these take as long as a line of the hash table does

bool all_finite(const float* values, std::int64_t count) {
  std::uint32_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(values[i]);
    found |= static_cast<std::uint32_t>((bits & 0x7f800000u) == 0x7f800000u);
  }
  return found == 0;
}

void require_finite(const std::int64_t* ids, const float* gradients, std::int64_t count, std::int64_t dim,
                    int threads) {
  std::atomic<bool> finite = true;
  run_parts(count, 4 * dim, threads, [&](std::int64_t begin, std::int64_t end) {
    if (!all_finite(gradients + begin * dim, (end - begin) * dim)) finite = false;
  });
  for (std::int64_t i = 0; !finite && i < count; ++i)
    if (!all_finite(gradients + i * dim, dim))
      throw std::domain_error("the gradient of id " + std::to_string(ids[i]) + " holds a NaN or an infinite value");
}

}  // namespace

Table::Table(const Options& options)
    : options_(options),
      rows_(options.dim),
      cold_(options.folder),
      admission_(options.admit_after, options.sketch_bytes, options.seed) {
  std::vector<std::int64_t> shared;
  for (std::int64_t i = 0; i < options.shared_rows; ++i) shared.push_back(rows_.take(i));
  start(shared, 1);
}

void Table::start(const std::vector<std::int64_t>& rows, int threads) const {
  const auto count = static_cast<std::int64_t>(rows.size());
  run_parts(count, options_.dim * 16, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = rows[static_cast<std::size_t>(i)];
      const std::uint64_t seed = row < options_.shared_rows ? ~options_.seed : options_.seed;
      initial_values(stream_of(seed, rows_.fact(row).id), options_.scale, options_.dim, rows_.weight(row));
    }
  });
}

std::int64_t Table::found(std::int64_t id) const {
  const std::uint32_t row = map_.find(id);
  return row == IdMap::kNone ? -1 : static_cast<std::int64_t>(row);
}

std::int64_t Table::shared_row(std::int64_t id) const {
  return options_.shared_rows == 0 ? -1 : shared_of(options_.seed, id, options_.shared_rows);
}

void Table::find(const std::int64_t* ids, std::int64_t count, int threads, std::int64_t* rows) const {
  run_parts(count, kBytesPerLookup, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (i + kAhead < end) map_.ask_for(ids[i + kAhead]);
      rows[i] = found(ids[i]);
    }
  });
}

// One after the other, in the order of the ids, so that rows do not depend on the number of threads.
void Table::admit(const std::int64_t* ids, std::int64_t count, int threads, std::int64_t* rows) {
  std::vector<std::int64_t> added, waiting;
  try {
    for (std::int64_t i = 0; i < count; ++i) {
      if (rows[i] >= 0 && rows[i] < kCold) continue;
      rows[i] = found(ids[i]);  // an earlier one in this call may have made or moved it
      if (rows[i] >= kCold) {
        rows[i] = warm(rows[i]);
      } else if (rows[i] < 0 && admission_.sighted(ids[i])) {
        added.push_back(rows_.take(ids[i]));
        rows[i] = added.back();
        map_.set(ids[i], static_cast<std::uint32_t>(rows[i]));
      } else if (rows[i] < 0) {
        waiting.push_back(i);
      }
    }
  } catch (...) {  // such as for want of memory: the rows that were made are whole
    start(added, threads);
    throw;
  }
  for (const std::int64_t i : waiting) {
    if (!added.empty()) rows[i] = found(ids[i]);
    if (rows[i] < 0) rows[i] = shared_row(ids[i]);
  }
  start(added, threads);
}

// Each thread takes the rows of its own, so that no two write to one.
template <class Mark>
void Table::mark(const std::vector<std::int64_t>& rows, int threads, const Mark& mark_row) const {
  const auto count = static_cast<std::int64_t>(rows.size());
  const int used = useful_threads(threads, count * kBytesPerLookup);
  run_team(used, [&](int thread) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (i + kAhead < count && rows[at + kAhead] >= 0) __builtin_prefetch(&rows_.fact(rows[at + kAhead]), 1);
      if (rows[at] >= 0 && (used == 1 || rows[at] % used == thread)) mark_row(rows_.fact(rows[at]));
    }
  });
}

void Table::gather(const std::vector<std::int64_t>& rows, int threads, float* out) const {
  const std::int64_t dim = options_.dim;
  run_parts(static_cast<std::int64_t>(rows.size()), 2 * dim * 4, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = rows[static_cast<std::size_t>(i)];
      if (i + kAhead < end) {
        const std::int64_t later = rows[static_cast<std::size_t>(i + kAhead)];
        if (later >= 0) tables::ask_for(weights(later), dim);
      }
      if (row < 0) std::fill_n(out + i * dim, dim, 0.0f);
      else std::copy_n(weights(row), dim, out + i * dim);
    }
  });
}

void Table::look_up(const std::int64_t* ids, std::int64_t count, bool training, int threads, float* out) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  if (training) {
    const std::unique_lock held(lock_);
    spill();
    find(ids, count, threads, rows.data());
    admit(ids, count, threads, rows.data());
    mark(rows, threads, [this](Fact& fact) {
      fact.count += fact.count < kMostSightings;
      fact.last_seen = clock_;
      fact.changed = 1;
    });
    gather(rows, threads, out);
    last_ids_.assign(ids, ids + count);
    last_rows_ = std::move(rows);
  } else {
    const std::shared_lock held(lock_);
    find(ids, count, threads, rows.data());
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (rows[i] < 0) rows[i] = shared_row(ids[i]);
    gather(rows, threads, out);
  }
}

std::vector<std::int64_t> Table::rows_to_step(const std::int64_t* ids, std::int64_t count, int threads) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  find(ids, count, threads, rows.data());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] >= kCold) rows[i] = found(ids[i]);  // an earlier one in this call may have moved it
    if (rows[i] >= kCold) rows[i] = warm(rows[i]);
    if (rows[i] < 0) rows[i] = shared_row(ids[i]);
  }
  return rows;
}

void Table::step(const tables::Rule& rule, float initial, const std::int64_t* ids, const float* gradients,
                 std::int64_t count, int threads) {
  const std::unique_lock held(lock_);
  const std::int64_t dim = options_.dim;
  require_finite(ids, gradients, count, dim, threads);
  if (rows_.kind() && *rows_.kind() != rule.kind) throw std::invalid_argument("the rows hold another rule's state");
  rows_.hold_state(rule.kind, initial);
  const bool is_last = static_cast<std::int64_t>(last_ids_.size()) == count &&
                       std::equal(last_ids_.begin(), last_ids_.end(), ids);
  std::vector<std::int64_t> rows = is_last ? std::move(last_rows_) : rows_to_step(ids, count, threads);
  forget_last();
  std::vector<float> kept;  // the gradients, where some are of ids that have no row any more
  if (std::find(rows.begin(), rows.end(), -1) != rows.end()) {
    for (std::int64_t i = 0; i < count; ++i)
      if (rows[static_cast<std::size_t>(i)] >= 0)
        kept.insert(kept.end(), gradients + i * dim, gradients + (i + 1) * dim);
    std::erase(rows, -1);
    gradients = kept.data();
  }
  if (!rows.empty())
    tables::update(rows_.table(), rule, {rows.data(), static_cast<std::int64_t>(rows.size()), gradients}, threads);
  if (!is_last) mark(rows, threads, [](Fact& fact) { fact.changed = 1; });
  ++clock_;
  spill();
}

std::int64_t Table::remove(const std::int64_t* ids, std::int64_t count) {
  const std::unique_lock held(lock_);
  forget_last();
  const std::int64_t before = map_.size();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = found(ids[i]);
    if (row < 0) continue;
    map_.erase(ids[i]);
    if (row < kCold) rows_.release(row);
    else cold_.release(row - kCold);
  }
  return before - map_.size();
}

// Brings a row back from the file.
std::int64_t Table::warm(std::int64_t cold_row) {
  const std::int64_t from = cold_row - kCold;
  const Fact fact = cold_.fact(from);
  const std::int64_t row = rows_.take(fact.id);
  rows_.copy_in(row, cold_.weights(from), cold_.state(from));
  rows_.fact(row) = fact;
  map_.set(fact.id, static_cast<std::uint32_t>(row));
  cold_.release(from);
  return row;
}

void Table::warm_all() {
  for (std::int64_t row = 0; row < cold_.end(); ++row)
    if (cold_.fact(row).held) warm(kCold + row);
}

// Moves the rows that were not seen for longest into the file until a tenth of the memory is free. Not before the
// first step, since what a row holds is not known until then.
void Table::spill() {
  if (options_.memory_bytes == 0 || !rows_.kind()) return;
  const StateWidth state = rows_.width();
  const std::int64_t numbers = options_.dim + state.first + state.second;
  const std::int64_t row_bytes = numbers * 4 + static_cast<std::int64_t>(sizeof(Fact));
  const std::int64_t most = options_.memory_bytes / row_bytes, held = rows_.held() - options_.shared_rows;
  if (held <= most) return;
  cold_.set_widths(options_.dim, numbers - options_.dim);
  std::vector<std::pair<std::uint32_t, std::int64_t>> oldest;
  for (std::int64_t row = options_.shared_rows; row < rows_.end(); ++row)
    if (rows_.fact(row).held) oldest.emplace_back(rows_.fact(row).last_seen, row);
  forget_last();
  const std::int64_t moved = held - most + most / 10;
  std::nth_element(oldest.begin(), oldest.begin() + moved - 1, oldest.end());
  for (std::int64_t i = 0; i < moved; ++i) {
    const std::int64_t row = oldest[static_cast<std::size_t>(i)].second;
    const Fact& fact = rows_.fact(row);
    const std::int64_t to = cold_.put(fact);
    rows_.copy_out(row, cold_.weights(to), cold_.state(to));
    map_.set(fact.id, static_cast<std::uint32_t>(kCold + to));
    rows_.release(row);
  }
  cold_.rest();
}

}  // namespace shortlist::dynamic
