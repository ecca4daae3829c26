#include "checksum.hpp"

#include <bit>
#include <cstring>
#include <vector>

#include "threads.hpp"

namespace shortlist {
namespace {

constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio
constexpr std::int64_t kChunk = 1 << 20;             // what one thread takes at a time
constexpr int kLanes = 8;                            // independent, so that multiplications overlap

// Each step is a bijection of the lane for a given word and of the word for a given lane, so a difference in
// one word always stays.
inline std::uint64_t mix(std::uint64_t lane, std::uint64_t word) { return std::rotl((lane ^ word) * kOdd, 29); }

std::uint64_t of_chunk(const std::uint8_t* bytes, std::int64_t size) {
  std::uint64_t lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = kOdd * static_cast<std::uint64_t>(i + 1);
  constexpr std::int64_t kStep = kLanes * 8;
  std::int64_t at = 0;
  for (; at + kStep <= size; at += kStep)
    for (int i = 0; i < kLanes; ++i) {
      std::uint64_t word;
      std::memcpy(&word, bytes + at + 8 * i, 8);
      lanes[i] = mix(lanes[i], word);
    }
  std::uint64_t sum = static_cast<std::uint64_t>(size);
  for (; at < size; ++at) sum = mix(sum, bytes[at]);
  for (const std::uint64_t lane : lanes) sum = mix(sum, lane);
  return sum;
}

}  // namespace

std::uint64_t checksum(const std::uint8_t* bytes, std::int64_t size, int threads) {
  const std::int64_t chunks = (size + kChunk - 1) / kChunk;
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(chunks));
  const int count = useful_threads(threads, size);
  run_threads(count, [&](int thread) {
    for (std::int64_t chunk = chunks * thread / count; chunk < chunks * (thread + 1) / count; ++chunk)
      sums[static_cast<std::size_t>(chunk)] =
          of_chunk(bytes + chunk * kChunk, std::min(kChunk, size - chunk * kChunk));
  });
  std::uint64_t sum = static_cast<std::uint64_t>(size);
  for (const std::uint64_t each : sums) sum = mix(sum, each);
  return sum;
}

}  // namespace shortlist
