#include "train.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "../threads.hpp"
#include "kernels.hpp"

namespace shortlist::leaves {
namespace {

// What a row lies beyond the origin.
void take_relative(const Rows& rows, std::int64_t row, float* relative) {
  const float* values = rows.values + row * rows.dim;
  for (std::int64_t j = 0; j < rows.dim; ++j) relative[j] = values[j] - rows.frame.origin[j];
}

// Centroids as the kernels read them; a row x scores c.x - |c|^2 / 2, highest at the nearest.
struct CodedCentroids {
  std::vector<std::uint32_t> order;
  std::vector<std::uint8_t> codes;
  std::vector<float> scale, bias;
  Run run;

  CodedCentroids(const float* centroids, std::int64_t leaves, std::int64_t dim) {
    const std::int64_t places = (leaves + kBlock - 1) / kBlock * kBlock;
    order.assign(static_cast<std::size_t>(places), kNoRow);
    std::iota(order.begin(), order.begin() + leaves, 0u);
    codes.resize(static_cast<std::size_t>(places * code_stride(dim)));
    scale.resize(static_cast<std::size_t>(places));
    bias.assign(static_cast<std::size_t>(places), 0.0f);
    const std::vector<float> origin(static_cast<std::size_t>(dim), 0.0f);  // they are relative already
    const Frame frame{origin.data(), nullptr, nullptr, 0};
    pack({centroids, dim, frame}, order.data(), places, 1, {codes.data(), code_stride(dim), nullptr, 0, scale.data()});
    for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
      float square = 0;
      for (std::int64_t j = 0; j < dim; ++j) square += centroids[leaf * dim + j] * centroids[leaf * dim + j];
      bias[static_cast<std::size_t>(leaf)] = -0.5f * square;
    }
    run = {codes.data(), scale.data(), bias.data(), nullptr, places / kBlock, code_stride(dim), nullptr, 0};
  }
};

// Each centroid becomes the mean of its rows, summed in the members' order; one without rows takes a row of
// the largest leaf.
void move_centroids(const Rows& rows, const Tier& tier, std::mt19937_64& random, int threads) {
  const std::int64_t dim = rows.dim;
  std::vector<std::int64_t> begins(static_cast<std::size_t>(tier.leaves) + 1, 0);
  for (std::int64_t i = 0; i < tier.count; ++i) ++begins[tier.leaf_of[i] + 1];
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  std::vector<std::uint32_t> by_leaf(static_cast<std::size_t>(tier.count));
  std::vector<std::int64_t> next(begins.begin(), begins.end() - 1);
  for (std::int64_t i = 0; i < tier.count; ++i)
    by_leaf[static_cast<std::size_t>(next[tier.leaf_of[i]]++)] = tier.members[i];
  std::int64_t largest = 0;
  for (std::int64_t leaf = 0; leaf < tier.leaves; ++leaf)
    if (begins[leaf + 1] - begins[leaf] > begins[largest + 1] - begins[largest]) largest = leaf;
  const int count = useful_threads(threads, tier.count * dim * 4);
  run_threads(count, [&](int thread) {
    std::vector<double> sum(static_cast<std::size_t>(dim));
    for (std::int64_t leaf = tier.leaves * thread / count; leaf < tier.leaves * (thread + 1) / count; ++leaf) {
      const std::int64_t size = begins[leaf + 1] - begins[leaf];
      if (size == 0) continue;
      std::fill(sum.begin(), sum.end(), 0.0);
      for (std::int64_t i = begins[leaf]; i < begins[leaf + 1]; ++i) {
        const float* row = rows.values + static_cast<std::int64_t>(by_leaf[static_cast<std::size_t>(i)]) * dim;
        for (std::int64_t j = 0; j < dim; ++j) sum[static_cast<std::size_t>(j)] += row[j];
      }
      for (std::int64_t j = 0; j < dim; ++j)
        tier.centroids[leaf * dim + j] =
            static_cast<float>(sum[static_cast<std::size_t>(j)] / static_cast<double>(size) - rows.frame.origin[j]);
    }
  });
  const std::int64_t size = begins[largest + 1] - begins[largest];
  for (std::int64_t leaf = 0; leaf < tier.leaves; ++leaf) {
    if (begins[leaf + 1] > begins[leaf]) continue;
    const auto drawn = begins[largest] + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(size));
    take_relative(rows, by_leaf[static_cast<std::size_t>(drawn)], tier.centroids + leaf * dim);
  }
}

}  // namespace

void assign(const Rows& rows, const std::uint32_t* members, std::int64_t count, const float* centroids,
            std::int64_t leaves, int threads, std::uint32_t* leaf_of) {
  const Kernels& table = kernels();
  const std::int64_t dim = rows.dim;
  const CodedCentroids coded(centroids, leaves, dim);
  const std::int64_t width = coded.run.blocks * kBlock, stride = code_stride(dim);
  const int used = useful_threads(threads, count * leaves * dim);
  run_threads(used, [&](int thread) {
    std::vector<float> scores(static_cast<std::size_t>(kTile * width));
    std::vector<std::int8_t> codes(static_cast<std::size_t>(kTile * stride));
    std::vector<float> relative(static_cast<std::size_t>(dim));
    std::vector<std::uint32_t> places(static_cast<std::size_t>(leaves + kBlock));
    std::vector<float> reached(static_cast<std::size_t>(leaves + kBlock));
    Query queries[kTile];
    const std::int64_t end = count * (thread + 1) / used;
    for (std::int64_t first = count * thread / used; first < end; first += kTile) {
      const int tile = static_cast<int>(std::min<std::int64_t>(kTile, end - first));
      for (int i = 0; i < tile; ++i) {
        take_relative(rows, members[first + i], relative.data());
        const float unit = code_query(relative.data(), dim, table.query_range, codes.data() + i * stride, queries + i);
        queries[i].weight = 1.0f / unit;
      }
      table.scores(coded.run, queries, tile, scores.data(), width);
      for (int i = 0; i < tile; ++i) {
        const float* of_row = scores.data() + i * width;
        const auto found = table.reaching(of_row, leaves, table.highest(of_row, leaves), places.data(), reached.data());
        leaf_of[first + i] = found > 0 ? places[0] : 0;
      }
    }
  });
}

void train(const Rows& rows, const Tier& tier, int iterations, std::uint64_t seed, int threads) {
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> drawn(tier.members, tier.members + tier.count);
  for (std::int64_t leaf = 0; leaf < tier.leaves; ++leaf) {  // a shuffle that stops early
    const auto other = leaf + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(tier.count - leaf));
    std::swap(drawn[static_cast<std::size_t>(leaf)], drawn[static_cast<std::size_t>(other)]);
    take_relative(rows, drawn[static_cast<std::size_t>(leaf)], tier.centroids + leaf * rows.dim);
  }
  for (int iteration = 0;; ++iteration) {
    assign(rows, tier.members, tier.count, tier.centroids, tier.leaves, threads, tier.leaf_of);
    if (iteration == iterations) return;
    move_centroids(rows, tier, random, threads);
  }
}

}  // namespace shortlist::leaves
