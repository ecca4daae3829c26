// XXH64, seed 0: the hash that turns strings into ids (Yann Collet,
// https://github.com/Cyan4973/xxHash, specification 0.1.1).
#pragma once

#include <cstddef>
#include <cstdint>

namespace shortlist::dynamic {

std::uint64_t xxh64(const std::uint8_t* bytes, std::size_t size);

}  // namespace shortlist::dynamic
