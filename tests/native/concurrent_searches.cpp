// Searches of one part from several threads at once, for ThreadSanitizer: each must answer as it does alone.
// Prints how many it ran; returns 1 at the first that answers otherwise.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../../native/checksum.hpp"
#include "../../native/leaves/codes.hpp"
#include "../../native/leaves/filter.hpp"
#include "../../native/leaves/search.hpp"
#include "../../native/leaves/train.hpp"

namespace shortlist::leaves {
namespace {

constexpr std::int64_t kRows = 3000, kDim = 22, kLeaves = 40, kQueries = 48;
constexpr int kThreads = 4, kRounds = 2;

std::vector<float> normal(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = draw(random);
  return values;
}

const std::vector<float> kOrigin(kDim, 0.0f);

std::int64_t blocks_of(std::int64_t rows) { return (rows + kBlock - 1) / kBlock; }

// Coded rows in an order of one's own, with the biases of distances.
struct Coded {
  std::vector<std::uint32_t> order;
  std::vector<std::uint8_t> codes, rest;
  std::vector<float> scale, bias;
  std::int64_t head;

  Coded(const std::vector<float>& rows, std::vector<std::uint32_t> order_, const Frame& frame, int threads)
      : order(std::move(order_)), head(frame.turned > 0 ? frame.turned : code_stride(kDim)) {
    codes.resize(order.size() * static_cast<std::size_t>(head));
    rest.resize(order.size() * static_cast<std::size_t>(rest_stride()));
    scale.resize(order.size());
    bias.assign(order.size(), 0.0f);
    pack({rows.data(), kDim, frame}, order.data(), static_cast<std::int64_t>(order.size()), threads,
         {codes.data(), head, rest.empty() ? nullptr : rest.data(), rest_stride(), scale.data()});
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (order[i] == kNoRow) continue;
      const float* row = rows.data() + static_cast<std::int64_t>(order[i]) * kDim;
      bias[i] = -0.5f * std::inner_product(row, row + kDim, row, 0.0f);
    }
  }

  Run run(bool biased) const {
    return {codes.data(), scale.data(), biased ? bias.data() : nullptr, nullptr,
            static_cast<std::int64_t>(order.size()) / kBlock, head, rest.empty() ? nullptr : rest.data(),
            rest_stride()};
  }

  std::int64_t rest_stride() const { return code_stride(kDim) - head; }
};

// Rows in leaves, trained with all the threads there are.
struct Catalogue {
  std::int64_t turned;  // axes that mirrors choose: where rows are cut
  std::vector<float> mirrors = mirrors_of(turned);
  Frame frame{kOrigin.data(), mirrors.data(), mirrors.data(), turned};
  std::vector<float> rows = normal(kRows * kDim, 1);
  std::vector<float> centroids = std::vector<float>(kLeaves * kDim);
  std::vector<std::int64_t> begins{0};
  std::vector<float> spreads = std::vector<float>(kLeaves, 0.8f);
  std::vector<float> rest_spreads = std::vector<float>(kLeaves, 0.8f);
  std::vector<float> spread_bias = std::vector<float>(static_cast<std::size_t>(blocks_of(kLeaves)) * kBlock, 0.8f);
  Coded coded = lay_out();
  Coded coded_centroids = code_centroids();

  explicit Catalogue(std::int64_t turned_) : turned(turned_) {}

  // Directions drawn at random, brought to their length.
  static std::vector<float> mirrors_of(std::int64_t turned) {
    std::vector<float> mirrors = normal(turned * kDim, 3);
    for (std::int64_t i = 0; i < turned; ++i) {
      float* mirror = mirrors.data() + i * kDim;
      const float by = std::sqrt(2.0f / std::inner_product(mirror, mirror + kDim, mirror, 0.0f));
      for (std::int64_t j = 0; j < kDim; ++j) mirror[j] *= by;
    }
    return mirrors;
  }

  Coded lay_out() {
    std::vector<std::uint32_t> members(kRows), leaf_of(kRows);
    std::iota(members.begin(), members.end(), 0u);
    train({rows.data(), kDim, {kOrigin.data(), nullptr, nullptr, 0}},
          {members.data(), kRows, kLeaves, centroids.data(), leaf_of.data()}, 4, 7, kThreads);
    std::vector<std::uint32_t> order;
    for (std::uint32_t leaf = 0; leaf < kLeaves; ++leaf) {
      for (std::uint32_t row = 0; row < kRows; ++row)
        if (leaf_of[row] == leaf) order.push_back(row);
      order.resize(static_cast<std::size_t>(blocks_of(static_cast<std::int64_t>(order.size())) * kBlock), kNoRow);
      begins.push_back(static_cast<std::int64_t>(order.size()) / kBlock);
    }
    return Coded(rows, std::move(order), frame, kThreads);
  }

  Coded code_centroids() const {
    std::vector<std::uint32_t> order(static_cast<std::size_t>(blocks_of(kLeaves)) * kBlock, kNoRow);
    std::iota(order.begin(), order.begin() + kLeaves, 0u);
    return Coded(centroids, std::move(order), frame, 1);
  }
};

// What of the catalogue may be found: a third of it, or all.
struct Allowed {
  std::vector<std::uint16_t> bits;
  std::vector<float> sizes = std::vector<float>(kLeaves);

  Allowed(const Part& part, unsigned one_in) : bits(static_cast<std::size_t>(part.run.blocks)) {
    std::vector<char> where(kRows);
    for (std::size_t row = 0; row < kRows; ++row) where[row] = row % one_in == 0;
    allow(part, reinterpret_cast<const bool*>(where.data()), bits.data());
    count_allowed(bits.data(), part.begins, kLeaves, sizes.data());
  }
};

struct Answer {
  std::vector<std::int64_t> labels;
  std::vector<float> scores;
  bool operator==(const Answer&) const = default;
};

Answer answer(Search job, int threads) {
  job.threads = threads;
  const auto size = static_cast<std::size_t>(job.batch * job.k);
  Answer found{std::vector<std::int64_t>(size), std::vector<float>(size)};
  search(job, found.labels.data(), found.scores.data());
  return found;
}

std::vector<Search> jobs(const Catalogue& catalogue, const std::vector<Allowed>& allowed,
                         const std::vector<float>& queries, const std::vector<std::int64_t>& excluded,
                         const std::vector<std::int64_t>& offsets, Part part) {
  std::vector<Search> made;
  for (const Metric metric : {Metric::kDot, Metric::kL2})
    for (const Allowed& some : allowed)
      for (const float effort : {100.0f, 900.0f, std::numeric_limits<float>::infinity()})
        for (const bool excluding : {false, true}) {
          const bool l2 = metric == Metric::kL2;
          part.run = catalogue.coded.run(l2);
          part.run.allowed = some.bits.data();
          part.sizes = some.sizes.data();
          part.centroids = catalogue.coded_centroids.run(true);
          if (!l2) part.centroids.bias = catalogue.spread_bias.data();
          Search job{};
          job.parts = {part};
          job.metric = metric;
          job.queries = queries.data();
          job.batch = excluding ? kQueries : 1 + static_cast<std::int64_t>(made.size()) * 2;
          job.k = 1 + static_cast<std::int64_t>(made.size()) % 12;
          job.keep = job.k + 6;
          job.effort = effort;
          job.excluded = excluding ? excluded.data() : nullptr;
          job.excluded_offsets = excluding ? offsets.data() : nullptr;
          made.push_back(job);
        }
  return made;
}

// Searches and what else reads a part, over and over; returns whether all answered as expected.
bool read(const std::vector<Search>& some, const std::vector<Answer>& expected, const Catalogue& catalogue,
          std::uint64_t sum, unsigned seed) {
  std::mt19937 random(seed);
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t step = 0; step < some.size(); ++step) {
      const std::size_t i = random() % some.size();
      if (answer(some[i], 1 + static_cast<int>(random() % 3)) != expected[i]) return false;
    }
    const Allowed again(some[0].parts[0], 3);
    const auto size = static_cast<std::int64_t>(catalogue.coded.codes.size());
    if (checksum(catalogue.coded.codes.data(), size, 2) != sum) return false;
  }
  return true;
}

bool run(const Catalogue& catalogue) {
  Part part{};
  part.dim = kDim;
  part.frame = catalogue.frame;
  part.rows = catalogue.rows.data();
  part.order = catalogue.coded.order.data();
  part.run = catalogue.coded.run(false);
  part.leaves = kLeaves;
  part.begins = catalogue.begins.data();
  part.spreads = catalogue.spreads.data();
  part.reach = 4;
  part.rest_spreads = catalogue.rest_spreads.data();
  part.slack = 4;
  const std::vector<Allowed> allowed{Allowed(part, 1), Allowed(part, 3)};
  const std::vector<float> queries = normal(kQueries * kDim, 2);
  std::vector<std::int64_t> excluded, offsets{0};
  for (std::int64_t q = 0; q < kQueries; ++q) {
    for (std::int64_t label = q; label < kRows; label += 50) excluded.push_back(label);
    offsets.push_back(static_cast<std::int64_t>(excluded.size()));
  }
  const std::vector<Search> some = jobs(catalogue, allowed, queries, excluded, offsets, part);
  std::vector<Answer> expected;
  for (const Search& job : some) expected.push_back(answer(job, 1));
  const std::uint64_t sum =
      checksum(catalogue.coded.codes.data(), static_cast<std::int64_t>(catalogue.coded.codes.size()), 1);
  std::atomic<bool> right{true};
  {
    std::vector<std::jthread> readers;
    for (unsigned seed = 0; seed < kThreads; ++seed)
      readers.emplace_back([&, seed] {
        if (!read(some, expected, catalogue, sum, seed)) right = false;
      });
  }
  return right;
}

}  // namespace
}  // namespace shortlist::leaves

int main() {
  int sets = 0;
  for (const std::string name : {"portable", "avx2", "avx512"}) {
    try {
      shortlist::use_kernels(name);
    } catch (const std::invalid_argument&) {
      continue;  // not on this processor
    }
    for (const int turned : {0, 8})
      if (!shortlist::leaves::run(shortlist::leaves::Catalogue(turned))) {
        std::printf("with %s kernels a search beside others answers otherwise than alone\n", name.c_str());
        return 1;
      }
    ++sets;
  }
  std::printf("searches beside others answer as they do alone, with %d sets of kernels\n", sets);
  return 0;
}
