#include "lookup.hpp"

#include <algorithm>
#include <vector>

#include "../tables/prefetch.hpp"
#include "mix.hpp"
#include "parts.hpp"

namespace shortlist::dynamic {
namespace {

using tables::kAhead;

std::uint64_t first_bucket(std::int64_t id, std::int64_t bucket_count) {
  return mix(static_cast<std::uint64_t>(id)) & static_cast<std::uint64_t>(bucket_count - 1);
}

std::int64_t row_of(const Lookup& table, std::int64_t id) {
  const auto mask = static_cast<std::uint64_t>(table.bucket_count - 1);
  std::uint64_t at = first_bucket(id, table.bucket_count);
  for (std::int64_t tried = 0; tried < table.bucket_count; ++tried, at = (at + 1) & mask) {
    const Bucket& bucket = table.buckets[at];
    if (bucket.row < 0) return -1;
    if (bucket.id == id) return bucket.row < table.row_count ? bucket.row : -1;
  }
  return -1;
}

const float* shared_row(const Lookup& table, std::int64_t id) {
  return table.shared_count == 0 ? nullptr : table.shared + shared_of(table.seed, id, table.shared_count) * table.dim;
}

}  // namespace

bool enter_ids(const std::int64_t* ids, std::int64_t count, Bucket* buckets, std::int64_t bucket_count) {
  const auto mask = static_cast<std::uint64_t>(bucket_count - 1);
  std::fill_n(buckets, bucket_count, Bucket{0, -1});
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t at = first_bucket(ids[i], bucket_count);
    for (; buckets[at].row >= 0; at = (at + 1) & mask)
      if (buckets[at].id == ids[i]) return false;
    buckets[at] = {ids[i], i};
  }
  return true;
}

void read(const Lookup& table, const std::int64_t* ids, std::int64_t count, int threads, float* out) {
  const std::int64_t dim = table.dim;
  run_parts(count, 64 + 4 * dim, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<const float*> rows(static_cast<std::size_t>(end - begin));
    for (std::int64_t i = begin; i < end; ++i) {
      if (i + kAhead < end) __builtin_prefetch(table.buckets + first_bucket(ids[i + kAhead], table.bucket_count));
      const std::int64_t row = row_of(table, ids[i]);
      const float* found = row < 0 ? shared_row(table, ids[i]) : table.rows + row * dim;
      rows[static_cast<std::size_t>(i - begin)] = found;
      if (found != nullptr) __builtin_prefetch(found);
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const float* row = rows[static_cast<std::size_t>(i - begin)];
      if (row == nullptr) std::fill_n(out + i * dim, dim, 0.0f);
      else std::copy_n(row, dim, out + i * dim);
    }
  });
}

}  // namespace shortlist::dynamic
