// A checksum of bytes in a file, as fast as memory is read.
#pragma once

#include <cstdint>

namespace shortlist {

// Finds damage, not intent: a changed bit anywhere changes it. The same for any number of threads.
std::uint64_t checksum(const std::uint8_t* bytes, std::int64_t size, int threads);

}  // namespace shortlist
