#include "distinct.hpp"

#include <bit>
#include <vector>

namespace shortlist::training {

std::int64_t find_distinct(const std::int64_t* ids, std::int64_t count, std::int64_t* rows, std::int64_t* index) {
  const int bits = std::bit_width(static_cast<std::uint64_t>(count)) + 1;  // of places: at most half are taken
  const std::uint64_t last = (std::uint64_t{1} << bits) - 1;
  std::vector<std::int32_t> places(last + 1, -1);  // small, to stay near
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t place = static_cast<std::uint64_t>(ids[i]) * 0x9e3779b97f4a7c15u >> (64 - bits);
    while (places[place] >= 0 && ids[rows[places[place]]] != ids[i]) place = (place + 1) & last;
    if (places[place] < 0) {
      places[place] = static_cast<std::int32_t>(found);
      rows[found++] = i;
    }
    index[i] = places[place];
  }
  return found;
}

}  // namespace shortlist::training
