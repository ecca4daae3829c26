#include "touches.hpp"

#include <algorithm>
#include <bit>

namespace shortlist::tables {
namespace {

constexpr std::uint64_t kMostBuckets = 1 << 24;

// The thread that steps a row: no division, and rows that lie together are dealt out.
int owner(std::uint32_t row, int threads) {
  return static_cast<int>((static_cast<std::uint64_t>(row * 0x9e3779b1u) * static_cast<std::uint64_t>(threads)) >> 32);
}

// Calls `work(row, position)` for the touches of one thread's share.
template <class Work>
void each_touch(const Gradients& gradients, int thread, int threads, const Work& work) {
  const bool skip_unknown = gradients.offsets != nullptr;
  for (std::int64_t i = 0; i < gradients.count; ++i) {
    const auto row = static_cast<std::uint32_t>(gradients.ids[i]);
    if (threads > 1 && owner(row, threads) != thread) continue;
    if (skip_unknown && row == 0) continue;
    work(row, static_cast<std::uint32_t>(i));
  }
}

// A few touches, or many of few rows: those of equal rows stay in order.
void sort_bucket(Touch* begin, Touch* end) {
  constexpr std::ptrdiff_t kFew = 16;
  const auto before = [](const Touch& one, const Touch& other) { return one.row < other.row; };
  if (end - begin > kFew) {
    if (!std::is_sorted(begin, end, before)) std::stable_sort(begin, end, before);
    return;
  }
  for (Touch* next = begin + 1; next < end; ++next) {
    const Touch moved = *next;
    Touch* place = next;
    for (; place > begin && moved.row < place[-1].row; --place) *place = place[-1];
    *place = moved;
  }
}

}  // namespace

// As many buckets as touches, each a range of rows: rows drawn evenly fall about one to a bucket.
std::vector<Touch> touches_of(const Gradients& gradients, std::int64_t rows, int thread, int threads) {
  const auto expected = static_cast<std::uint64_t>(gradients.count / threads + 1);
  const std::uint64_t buckets = std::min(std::bit_ceil(expected), kMostBuckets);
  // The bucket of a row is row * buckets / rows, by a product with a reciprocal that is rounded down.
  const std::uint64_t reciprocal = (buckets << 32) / static_cast<std::uint64_t>(rows);
  const auto bucket = [reciprocal](std::uint32_t row) { return (row * reciprocal) >> 32; };
  std::vector<std::uint32_t> ends(buckets + 1);
  each_touch(gradients, thread, threads, [&](std::uint32_t row, std::uint32_t) { ++ends[bucket(row) + 1]; });
  for (std::size_t i = 1; i < ends.size(); ++i) ends[i] += ends[i - 1];
  std::vector<Touch> touches(ends.back());
  each_touch(gradients, thread, threads, [&](std::uint32_t row, std::uint32_t position) {
    touches[ends[bucket(row)]++] = {row, position};
  });
  std::uint32_t begin = 0;  // the scattering moved each bucket's begin to its end
  for (std::uint64_t i = 0; i < buckets; begin = ends[i++])
    if (ends[i] - begin > 1) sort_bucket(touches.data() + begin, touches.data() + ends[i]);
  return touches;
}

}  // namespace shortlist::tables
