#include "admission.hpp"

#include <algorithm>
#include <array>

namespace shortlist::dynamic {

Admission::Admission(std::int64_t after, std::int64_t sketch_bytes, std::uint64_t seed)
    : after_(after), seed_(seed), sketch_(static_cast<std::size_t>(sketch_bytes / kHashes * kHashes)) {}

bool Admission::sighted(std::int64_t id) {
  if (after_ <= 1) return true;
  if (sketch_.empty()) {
    const std::uint32_t before = exact_.find(id), count = before == IdMap::kNone ? 1 : before + 1;
    if (count < static_cast<std::uint64_t>(after_)) {
      exact_.set(id, count);
      return false;
    }
    exact_.erase(id);
    return true;
  }
  // A count-min sketch: a counter in each of some rows, of which the least is believed, and only those that are the
  // least grow (Estan & Varghese 2002), so that others' sightings disturb it less.
  const std::uint64_t columns = sketch_.size() / kHashes;
  std::array<std::uint8_t*, kHashes> counters{};
  std::uint64_t bits = stream_of(seed_, id);
  std::uint8_t least = UINT8_MAX;
  for (std::uint64_t row = 0; row < kHashes; ++row) {
    bits = mix(bits);
    counters[row] = &sketch_[row * columns + bits % columns];
    least = std::min(least, *counters[row]);
  }
  if (least < UINT8_MAX)
    for (std::uint8_t* counter : counters) *counter += *counter == least;
  return least + 1 >= after_;
}

}  // namespace shortlist::dynamic
