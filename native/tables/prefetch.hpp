// Rows of a large table lie anywhere, so each is asked for before it is needed.
#pragma once

#include <cstdint>

namespace shortlist::tables {

constexpr std::int64_t kAhead = 16;  // rows between asking and needing

// Asks for the line of an address. The empty statement keeps compilers from dropping functions that do nothing but
// ask, since to them those have no effect.
inline void ask_for_line(const void* address) {
  __builtin_prefetch(address, 1);
  asm volatile("");
}

template <class Number>
void ask_for(const Number* values, std::int64_t count) {
  constexpr std::int64_t kLine = 64 / sizeof(Number);
  for (std::int64_t j = 0; j < count; j += kLine) ask_for_line(values + j);
}

}  // namespace shortlist::tables
