// Rows of a large table lie anywhere, so each is asked for before it is needed.
#pragma once

#include <cstdint>

namespace shortlist::tables {

constexpr std::int64_t kAhead = 16;  // rows between asking and needing

template <class Number>
void ask_for(const Number* values, std::int64_t count) {
  constexpr std::int64_t kLine = 64 / sizeof(Number);
  for (std::int64_t j = 0; j < count; j += kLine) {
    __builtin_prefetch(values + j, 1);
    asm volatile("");  // else compilers see a function without effect, and drop what calls it
  }
}

}  // namespace shortlist::tables
