// Which ids have been seen often enough to have a row of their own.
#pragma once

#include <cstdint>
#include <vector>

#include "id_map.hpp"

namespace shortlist::dynamic {

class Admission {
 public:
  // An id is admitted at its sighting number `after`. With `sketch_bytes` sightings are counted in a sketch of that
  // size, which may count too many and never too few; with 0 they are counted exactly.
  Admission(std::int64_t after, std::int64_t sketch_bytes, std::uint64_t seed);

  // Counts a sighting of an id without a row; whether that admits it.
  bool sighted(std::int64_t id);

  IdMap& exact() { return exact_; }
  std::vector<std::uint8_t>& sketch() { return sketch_; }
  std::size_t bytes() const { return sketch_.size() + (sketch_.empty() && after_ > 1 ? exact_.bytes() : 0); }

 private:
  static constexpr int kHashes = 4;

  std::int64_t after_;
  std::uint64_t seed_;
  IdMap exact_;
  std::vector<std::uint8_t> sketch_;  // kHashes rows of counters that stop at 255
};

}  // namespace shortlist::dynamic
