// An embedding table whose rows are made when their ids are first seen.
#pragma once

#include <cstdint>
#include <shared_mutex>
#include <string>
#include <vector>

#include "admission.hpp"
#include "cold_rows.hpp"
#include "id_map.hpp"
#include "rows.hpp"

namespace shortlist::dynamic {

struct Options {
  std::int64_t dim;
  std::uint64_t seed;
  float scale;                // standard deviation of the first weights
  std::int64_t shared_rows;   // which the ids without a row share
  std::int64_t admit_after;   // sightings that earn a row
  std::int64_t sketch_bytes;  // of the sketch that counts them; 0 counts exactly
  std::int64_t memory_bytes;  // that rows and their state may take; 0 for no limit
  std::string folder;         // of the file for the others
};

// Rows from elsewhere: `state` is [rows, first + second], what has no shape here is [rows].
struct Records {
  const std::int64_t* ids;
  const float* weights;  // [rows, dim]
  const float* state;
  const std::int64_t* counts;
  const std::int64_t* last_seen;
};

// Its calls may come from any threads: those that change it wait for all others, those that read run beside each
// other. What they answer does not depend on the number of threads a call works with.
//
// A row's number is its place in memory, or, from kCold on, kCold plus its place in the file.
class Table {
 public:
  static constexpr std::int64_t kCold = kMostRows;

  explicit Table(const Options& options);

  // Copies the row of each id to `out`, [count, dim]: its own, or a shared one, or zeros where none are shared. In
  // training ids are counted, and those that are admitted get a row first.
  void look_up(const std::int64_t* ids, std::int64_t count, bool training, int threads, float* out);

  // Adds up the gradients of each id and takes one step for its row. A gradient of an id that has no row any more
  // moves its shared row, or nothing.
  void step(const tables::Rule& rule, float initial, const std::int64_t* ids, const float* gradients,
            std::int64_t count, int threads);

  // Takes away the rows of some ids; how many had one.
  std::int64_t remove(const std::int64_t* ids, std::int64_t count);

  // The numbers of all ids' rows, or of those that changed since `settle`.
  std::vector<std::int64_t> rows(bool only_changed) const;
  bool is_row(std::int64_t row) const { return row >= 0 && row < (row < kCold ? rows_.end() : kCold + cold_.end()); }
  void copy_facts(const std::vector<std::int64_t>& rows, std::int64_t* ids, std::int64_t* counts,
                  std::int64_t* last_seen) const;
  void copy_numbers(const std::vector<std::int64_t>& rows, float* weights, float* state, int threads) const;
  void copy_in(const Records& from, std::int64_t count);
  void copy_in_shared(const float* weights, const float* state);
  void settle();

  void drop_state();
  void hold_state(Kind kind, float initial);
  const Rows& storage() const { return rows_; }

  std::int64_t size() const { return map_.size(); }
  std::int64_t spilled() const { return cold_.held(); }
  std::int64_t clock() const { return clock_; }
  void set_clock(std::int64_t clock) { clock_ = static_cast<std::uint32_t>(clock); }
  std::size_t bytes() const { return rows_.bytes() + cold_.memory_bytes() + map_.bytes() + admission_.bytes(); }
  std::size_t file_bytes() const { return cold_.file_bytes(); }
  const Options& options() const { return options_; }
  Admission& admission() { return admission_; }

 private:
  void find(const std::int64_t* ids, std::int64_t count, int threads, std::int64_t* rows) const;
  void admit(const std::int64_t* ids, std::int64_t count, int threads, std::int64_t* rows);
  std::vector<std::int64_t> rows_to_step(const std::int64_t* ids, std::int64_t count, int threads);
  std::int64_t found(std::int64_t id) const;
  std::int64_t shared_row(std::int64_t id) const;
  std::int64_t warm(std::int64_t cold_row);
  void warm_all();
  void spill();
  Fact& fact(std::int64_t row) const { return row < kCold ? rows_.fact(row) : cold_.fact(row - kCold); }
  const float* weights(std::int64_t row) const { return row < kCold ? rows_.weight(row) : cold_.weights(row - kCold); }
  void start(const std::vector<std::int64_t>& rows, int threads) const;
  template <class Mark>
  void mark(const std::vector<std::int64_t>& rows, int threads, const Mark& mark_row) const;
  void gather(const std::vector<std::int64_t>& rows, int threads, float* out) const;
  void forget_last() { last_ids_.clear(), last_rows_.clear(); }

  Options options_;
  Rows rows_;
  ColdRows cold_;
  IdMap map_;
  Admission admission_;
  std::uint32_t clock_ = 0;  // steps taken
  // The last look-up in training: a step of the same ids need not find their rows again, nor mark them as changed.
  // Whatever moves a row, takes one away or forgets marks forgets it.
  std::vector<std::int64_t> last_ids_, last_rows_;
  mutable std::shared_mutex lock_;
};

}  // namespace shortlist::dynamic
