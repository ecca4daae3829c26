// A table that is only read: its hash table and rows as arrays, which may lie in a mapped file.
#pragma once

#include <cstdint>

namespace shortlist::dynamic {

// A bucket of the hash table, linear probing; the number of buckets is a power of two.
struct Bucket {
  std::int64_t id;
  std::int64_t row;  // -1 where the bucket is empty
};

// Enters ids, row i being that of ids[i], into buckets of which at least one stays empty. False when an id repeats.
bool enter_ids(const std::int64_t* ids, std::int64_t count, Bucket* buckets, std::int64_t bucket_count);

struct Lookup {
  const Bucket* buckets;
  std::int64_t bucket_count;
  const float* rows;    // [row_count, dim]
  std::int64_t row_count;
  const float* shared;  // [shared_count, dim]: an id that is not there gets one by its hash, or zeros
  std::int64_t shared_count;
  std::int64_t dim;
  std::uint64_t seed;
};

// Copies the row of each id to `out`. The arrays are not trusted: a row that is not there counts as none.
void read(const Lookup& table, const std::int64_t* ids, std::int64_t count, int threads, float* out);

}  // namespace shortlist::dynamic
