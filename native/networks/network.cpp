#include "network.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "../threads.hpp"

namespace shortlist::networks {
namespace {

// Products that take about as long as it takes to go through a byte, as `useful_threads` counts them.
constexpr std::int64_t kProductsPerByte = 16;

std::int64_t products_of(const Network& network) {
  std::int64_t products = 0;
  for (const Step& step : network.steps) products += step.layer.inputs * step.layer.outputs;
  return products;
}

std::int64_t widest(const Network& network) {
  std::int64_t most = padded(network.width);
  for (const Step& step : network.steps) most = std::max(most, padded(step.layer.outputs));
  return most;
}

// The blocks of one thread.
class Worker {
 public:
  Worker(const Network& network, const Rows& rows)
      : network_(network),
        rows_(rows),
        width_(padded(network.width)),
        base_(static_cast<std::size_t>(kRows * width_)),
        one_(static_cast<std::size_t>(kRows * widest(network))),
        other_(one_.size()) {}

  void score(std::int64_t first, std::int64_t count, float* scores) {
    take(first, count);
    const Kernels& table = kernels();
    const float* from = base_.data();
    float *to = one_.data(), *next = other_.data();
    float results[kRows];
    for (const Step& step : network_.steps) {
      switch (step.kind) {
        case Kind::kCross: table.cross(step.layer, base_.data(), from, to); break;
        case Kind::kHidden: table.hidden(step.layer, from, to); break;
        case Kind::kOutput: table.output(step.layer, from, results); break;
      }
      from = to;
      std::swap(to, next);
    }
    std::copy(results, results + count, scores + first);
  }

 private:
  void take(std::int64_t first, std::int64_t count) {
    const std::int64_t* after = std::upper_bound(rows_.offsets, rows_.offsets + rows_.requests + 1, first);
    std::int64_t request = after - rows_.offsets - 1;
    const std::int64_t soon = std::min(first + 2 * kRows, rows_.offsets[rows_.requests]);
    for (std::int64_t row = first + count; row < soon; ++row) prefetch(item(row));
    float* to = base_.data();
    for (std::int64_t row = first; row < first + count; ++row, to += width_) {
      while (rows_.offsets[request + 1] <= row) ++request;
      float* end = std::copy_n(rows_.query + request * rows_.query_width, rows_.query_width, to);
      if (rows_.item_width > 0) end = std::copy_n(item(row), rows_.item_width, end);
      std::copy_n(rows_.own + row * rows_.own_width, rows_.own_width, end);
    }
  }

  const float* item(std::int64_t row) const { return rows_.table + rows_.items[row] * rows_.item_width; }

  void prefetch(const float* item) const {
    for (std::int64_t i = 0; i < rows_.item_width; i += kRoom) __builtin_prefetch(item + i);
  }

  const Network& network_;
  const Rows& rows_;
  const std::int64_t width_;
  std::vector<float> base_, one_, other_;
};

}  // namespace

void score(const Network& network, const Rows& rows, int threads, float* scores) {
  const std::int64_t total = rows.offsets[rows.requests];
  std::atomic<std::int64_t> next{0};
  run_threads(useful_threads(threads, total * products_of(network) / kProductsPerByte), [&](int) {
    Worker worker(network, rows);
    for (std::int64_t first = next.fetch_add(kRows); first < total; first = next.fetch_add(kRows))
      worker.score(first, std::min<std::int64_t>(kRows, total - first), scores);
  });
}

}  // namespace shortlist::networks
