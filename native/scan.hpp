// One thread's walk over blocks for one group of queries.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "collector.hpp"
#include "lanes.hpp"
#include "search.hpp"

namespace shortlist {

// A run of blocks of one segment, the unit in which threads share the work.
struct Chunk {
  const Segment* segment;
  std::int64_t first_block;
  std::int64_t last_block;  // one past
};

std::vector<Chunk> chunks_of(const Search& job);

class Scan {
 public:
  explicit Scan(const Search& job, const Kernels& table);

  // Begins with another group: query `first` of the job and those after it. `shared` has a value a lane.
  void begin(const Lanes& lanes, std::int64_t first, const std::vector<std::vector<std::int64_t>>& excluded,
             std::atomic<double>* shared);
  void visit(const Chunk& chunk);

  Collector& collector(int lane) { return collectors_[static_cast<std::size_t>(lane)]; }
  // A row with a NaN or an infinity that the walk met, or -1.
  std::int64_t bad_row() const { return bad_row_; }

 private:
  bool worth_visiting(const Chunk& chunk) const;
  std::uint64_t allowed_rows(const Segment& segment, std::int64_t block) const;
  void visit_codes(const Segment& segment, std::int64_t block, const std::uint8_t* codes, const BlockStats& stats,
                   std::uint64_t allowed);
  void offer_hits(const Segment& segment, std::int64_t block, const BlockStats& stats, int first_lane, int found);
  void visit_floats(const Segment& segment, std::int64_t block, std::uint64_t allowed);
  bool code_now(const Segment& segment, std::int64_t block, BlockStats* stats);
  void refresh_bounds();

  const Search& job_;
  const Kernels& table_;
  const Lanes* lanes_ = nullptr;
  std::vector<Collector> collectors_;
  std::vector<float> bounds_;          // what each lane's filter takes for its threshold
  std::vector<std::uint8_t> scratch_;  // codes of the block at hand, where the segment has none
  std::vector<Hit> hits_;
  std::int64_t bad_row_ = -1;
};

}  // namespace shortlist
