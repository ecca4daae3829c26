// One thread's way through groups of queries: choose leaves, look through them, score the best again.
#pragma once

#include <cstdint>
#include <vector>

#include "candidates.hpp"
#include "choose.hpp"
#include "kernels.hpp"
#include "search.hpp"

namespace shortlist::leaves {

class Walk {
 public:
  explicit Walk(const Search& job);

  // Answers `count` queries from `first` on; the arguments as those of `leaves::search`.
  void search(std::int64_t first, std::int64_t count, float effort, std::int64_t* labels, float* scores);

  // Queries of the last group that found fewer than k rows.
  const std::vector<bool>& short_of() const { return short_of_; }

 private:
  struct Visit {
    std::uint32_t leaf;
    std::uint32_t query;
  };
  struct Found {
    float score;
    std::int64_t label;
  };

  void begin(std::int64_t first, std::int64_t count);
  void code(std::int64_t q);
  void choose_leaves(const Part& part, float effort);
  void expect_near(const Part& part, std::size_t q, float* expected) const;
  float effort_with_exclusions(float effort, std::int64_t q) const;
  void visit_leaves(const Part& part, std::size_t p);
  void visit_alone(const Part& part, std::size_t p);
  void look(const Part& part, std::size_t p, std::int64_t begin, std::int64_t end, const std::uint32_t* queries,
            std::int64_t count);
  void settle(std::uint32_t q);
  std::size_t part_of(std::uint32_t place) const;
  std::int64_t label_of(std::uint32_t place) const;
  std::int64_t finish(std::int64_t q, std::int64_t* labels, float* scores);
  double shared_score(std::size_t q, const float* query) const;

  const Search& job_;
  const Kernels& table_;
  const shortlist::Kernels& exact_;
  std::vector<std::uint32_t> firsts_;  // each part's first place: the parts' places are numbered through
  std::int64_t first_ = 0, count_ = 0;
  std::vector<float> relative_;
  std::vector<std::int8_t> codes_;
  std::vector<Query> queries_, centroid_queries_;
  std::vector<float> units_;    // what a score of the codes is worth
  std::vector<float> lengths_;  // of the queries, in these units
  std::vector<Candidates> candidates_;
  std::vector<std::vector<std::int64_t>> excluded_;
  Chooser chooser_;
  std::vector<float> expected_;
  std::vector<Visit> visits_;
  std::vector<std::uint32_t> starts_, ends_, by_leaf_, everyone_;
  std::vector<const float*> rows_;
  std::vector<Found> found_;
  std::vector<bool> short_of_;
};

}  // namespace shortlist::leaves
