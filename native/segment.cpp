// Preparing rows for repeated searches.
#include <atomic>
#include <cmath>

#include "lanes.hpp"
#include "search.hpp"
#include "threads.hpp"

namespace shortlist {
namespace {

// Runs `work(block, count)` for every block of 64 rows, on as many threads as pay.
template <class Work>
void for_each_block(std::int64_t rows, std::int64_t dim, int threads, const Work& work) {
  std::atomic<std::int64_t> next{0};
  run_threads(useful_threads(threads, rows * dim), [&](int) {
    constexpr std::int64_t kRun = 64;
    const std::int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
    for (std::int64_t begin; (begin = next.fetch_add(kRun)) < blocks;)
      for (std::int64_t block = begin; block < std::min(blocks, begin + kRun); ++block)
        work(block, static_cast<int>(std::min<std::int64_t>(kBlockRows, rows - block * kBlockRows)));
  });
}

}  // namespace

void row_norms(const float* rows, std::int64_t count, std::int64_t dim, int threads, double* norms) {
  const Kernels& table = kernels();
  for_each_block(count, dim, threads, [&](std::int64_t block, int in_block) {
    for (std::int64_t row = block * kBlockRows; row < block * kBlockRows + in_block; ++row)
      norms[row] = std::sqrt(table.dot(rows + row * dim, rows + row * dim, dim));
  });
}

void encode(const float* rows, std::int64_t count, std::int64_t dim, const std::uint32_t* order, const double* norms,
            int threads, std::uint8_t* codes, BlockStats* stats) {
  const Kernels& table = kernels();
  for_each_block(count, dim, threads, [&](std::int64_t block, int in_block) {
    const float* block_rows[kBlockRows];
    double block_norms[kBlockRows];
    for (int r = 0; r < in_block; ++r) {
      const std::int64_t row = order[block * kBlockRows + r];
      block_rows[r] = rows + row * dim;
      block_norms[r] = norms[row];
    }
    table.encode_block(block_rows, in_block, dim, codes + block * kBlockRows * code_stride(dim), stats + block);
    set_norms(block_norms, in_block, stats + block);
  });
}

}  // namespace shortlist
