#include "id_map.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace shortlist::dynamic {
namespace {

constexpr std::uint64_t kFewest = 256;
// Old buckets gone through for each id that is added. The new table holds at least half as many buckets as the old
// one and is at most a third full when it starts, so more than 1/8 of the old count can be added before it is full.
constexpr std::uint64_t kMovesPerAdd = 8;

bool is_full(std::int64_t used, std::uint64_t buckets) { return static_cast<std::uint64_t>(used) >= buckets / 8 * 5; }

}  // namespace

void IdMap::Buckets::make(std::uint64_t count) {
  arena = std::make_unique<Arena>(count * sizeof(Entry));
  arena->grow(count * sizeof(Entry));
  mask = count - 1;
  used = 0;
}

void IdMap::Buckets::add(std::int64_t id, std::uint32_t value) {
  std::uint64_t at = mix(static_cast<std::uint64_t>(id)) & mask;
  while (entries()[at].state == State::kHeld) at = (at + 1) & mask;
  used += entries()[at].state == State::kEmpty;
  entries()[at] = {id, value, State::kHeld};
}

IdMap::IdMap() { now_.make(kFewest); }

IdMap::Entry* IdMap::held(std::int64_t id) const {
  const std::uint64_t hash = mix(static_cast<std::uint64_t>(id));
  Entry* entry = now_.find(id, hash);
  return entry == nullptr && old_.arena ? old_.find(id, hash) : entry;
}

void IdMap::set(std::int64_t id, std::uint32_t value) {
  if (Entry* entry = held(id)) {
    entry->value = value;
    return;
  }
  if (old_.arena) move(kMovesPerAdd);
  if (is_full(now_.used, now_.mask + 1)) make_room();
  now_.add(id, value);
  ++size_;
}

void IdMap::erase(std::int64_t id) {
  Entry* entry = held(id);
  if (entry == nullptr) return;
  entry->state = State::kGone;
  --size_;
}

void IdMap::make_room() {
  if (old_.arena) move(old_.mask + 1);
  const std::uint64_t wanted = std::bit_ceil(static_cast<std::uint64_t>(size_) * 3 + 1);
  Buckets next;
  next.make(std::max({wanted, (now_.mask + 1) / 2, kFewest}));
  old_ = std::exchange(now_, std::move(next));
  moved_ = 0;
  move(kMovesPerAdd);
}

void IdMap::move(std::uint64_t buckets) {
  const std::uint64_t end = std::min(moved_ + buckets, old_.mask + 1);
  for (; moved_ < end; ++moved_) {
    Entry& entry = old_.entries()[moved_];
    if (entry.state != State::kHeld) continue;
    now_.add(entry.id, entry.value);
    entry.state = State::kGone;  // so that those behind it are still found
  }
  if (moved_ > old_.mask) old_ = Buckets();
}

}  // namespace shortlist::dynamic
