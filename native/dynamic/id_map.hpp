// A hash table from 64-bit ids to 32-bit numbers that never stops to grow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "../tables/prefetch.hpp"
#include "arena.hpp"
#include "mix.hpp"

namespace shortlist::dynamic {

// Open addressing with linear probing. When it is full a second table takes its place, and each entry that is added
// from then on moves a few of the first one's: no call moves them all. Any number of threads may read while none
// writes.
class IdMap {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  IdMap();

  // The number of an id, or kNone.
  std::uint32_t find(std::int64_t id) const {
    const std::uint64_t hash = mix(static_cast<std::uint64_t>(id));
    const Entry* entry = now_.find(id, hash);
    if (entry == nullptr && old_.arena) entry = old_.find(id, hash);
    return entry == nullptr ? kNone : entry->value;
  }

  // Asks for the memory that `find` will read.
  void ask_for(std::int64_t id) const {
    const std::uint64_t hash = mix(static_cast<std::uint64_t>(id));
    tables::ask_for_line(now_.entries() + (hash & now_.mask));
    if (old_.arena) tables::ask_for_line(old_.entries() + (hash & old_.mask));
  }

  // Adds an id, or gives one that is there another number.
  void set(std::int64_t id, std::uint32_t value);
  void erase(std::int64_t id);

  std::int64_t size() const { return size_; }
  std::size_t bytes() const { return now_.bytes() + old_.bytes(); }

  template <class Visit>
  void each(const Visit& visit) const {
    now_.each(visit);
    if (old_.arena) old_.each(visit);
  }

 private:
  enum class State : std::uint32_t { kEmpty = 0, kHeld, kGone };
  struct Entry {
    std::int64_t id;
    std::uint32_t value;
    State state;
  };

  struct Buckets {
    std::unique_ptr<Arena> arena;
    std::uint64_t mask = 0;
    std::int64_t used = 0;  // that are not empty

    Entry* entries() const { return static_cast<Entry*>(arena->data()); }
    std::size_t bytes() const { return arena ? (mask + 1) * sizeof(Entry) : 0; }
    void make(std::uint64_t count);

    Entry* find(std::int64_t id, std::uint64_t hash) const {
      for (std::uint64_t at = hash & mask;; at = (at + 1) & mask) {
        Entry& entry = entries()[at];
        if (entry.state == State::kEmpty) return nullptr;
        if (entry.state == State::kHeld && entry.id == id) return &entry;
      }
    }

    void add(std::int64_t id, std::uint32_t value);

    template <class Visit>
    void each(const Visit& visit) const {
      for (std::uint64_t at = 0; at <= mask; ++at)
        if (entries()[at].state == State::kHeld) visit(entries()[at].id, entries()[at].value);
    }
  };

  Entry* held(std::int64_t id) const;
  void make_room();
  void move(std::uint64_t buckets);

  Buckets now_, old_;
  std::uint64_t moved_ = 0;  // buckets of old_ that were gone through
  std::int64_t size_ = 0;
};

}  // namespace shortlist::dynamic
