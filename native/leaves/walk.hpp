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
    float rest;  // what the rest of the centroid's codes adds to its score, where rows are cut
  };
  struct Found {
    float score;
    std::int64_t label;
  };

  // walk.cpp
  void begin(std::int64_t first, std::int64_t count);
  void code(std::int64_t q, std::int64_t count);
  void code_relative(std::int64_t q, const float* relative, float scale);
  void look(const Part& part, std::size_t p, std::int64_t begin, std::int64_t end, const Visit* visits,
            std::int64_t count);
  void meet_heads(const Run& run, std::uint32_t place, const Query* const* queries, Hits* const* hits,
                  const float* more, int count);
  void settle(std::uint32_t q);

  // walk_leaves.cpp
  void choose_leaves(const Part& part, float effort);
  void choose(const Part& part, std::uint32_t q, float* expected, float wanted);
  void choose_by_heads(const Part& part, std::uint32_t q, const float* heads, float wanted);
  void expect_near(const Part& part, std::size_t q, const float* spreads, std::int64_t leaves, float* expected) const;
  float effort_with_exclusions(float effort, std::int64_t q) const;
  void visit_leaves(const Part& part, std::size_t p, const std::vector<Visit>& visits);
  void visit_alone(const Part& part, std::size_t p);

  // walk_scores.cpp
  std::size_t part_of(std::uint32_t place) const;
  std::int64_t label_of(std::uint32_t place) const;
  std::int64_t finish(std::int64_t q, std::int64_t* labels, float* scores);
  double shared_score(std::size_t q, const float* query) const;

  const Search& job_;
  const Kernels& table_;
  const shortlist::Kernels& exact_;
  const std::int64_t dim_;
  std::int64_t head_ = 0;              // codes in the blocks of the parts whose rows are cut; 0: there are none
  std::vector<std::uint32_t> firsts_;  // each part's first place: the parts' places are numbered through
  std::int64_t first_ = 0, count_ = 0;
  std::vector<float> relative_, along_;
  std::vector<std::int8_t> codes_;
  std::vector<Query> queries_, cut_queries_, centroid_queries_;
  std::vector<float> units_;         // what a score of the codes is worth
  std::vector<float> lengths_;       // of the queries, in these units
  std::vector<float> rest_lengths_;  // likewise, of what their heads lack
  std::vector<Candidates> candidates_;
  std::vector<std::vector<std::int64_t>> excluded_;
  Chooser chooser_, second_chooser_;
  std::vector<float> expected_;
  std::vector<float> near_, whole_, rest_, sizes_, spreads_;  // of the leaves that are likely by their heads
  std::vector<std::uint32_t> likely_, picked_;
  std::vector<Visit> visits_, best_visits_, by_leaf_, everyone_;
  std::vector<std::uint32_t> starts_, ends_;
  std::vector<const float*> rows_;
  std::vector<Found> found_;
  std::vector<bool> short_of_;
};

}  // namespace shortlist::leaves
