// The best k of one query, gathered from rows of which only an interval around the score is known.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels.hpp"
#include "selection.hpp"

namespace shortlist {

enum class Metric { kDot, kL2 };

// What a row scores: higher is better, so a distance counts negatively.
inline double exact_score(const Kernels& table, Metric metric, const float* query, const float* row,
                          std::int64_t dim) {
  return metric == Metric::kDot ? table.dot(query, row, dim) : -table.squared_distance(query, row, dim);
}

// A row that may be among the best: its score lies within [lower, upper], and is known once the two are equal
// and `row` is null.
struct Candidate {
  double lower;
  double upper;
  std::int64_t label;  // what the caller knows the row by; decides ties, the lower first
  const float* row;
};

inline bool better(const Candidate& a, const Candidate& b) {
  return a.lower != b.lower ? a.lower > b.lower : a.label < b.label;
}

// Sorts candidates that are known exactly; keeps its memory.
class CandidateSorter {
 public:
  std::span<const Candidate> sorted(std::span<const Candidate> candidates);

 private:
  KeySorter keys_;
  std::vector<Candidate> sorted_;
};

// The first k labels and scores of sorted candidates; what is missing is -1 and minus infinity.
void write_best(std::span<const Candidate> sorted, std::int64_t k, std::int64_t* labels, double* scores);

// A query's candidates as one thread sees them. The k-th best of the lower ends is a score that the k-th best
// row certainly reaches; a row whose upper end lies below it is out. Rows are scored exactly only when the
// intervals cannot tell them apart, so the cost stays linear even where the bounds are useless.
class Collector {
 public:
  // `shared` is the highest such score that any thread knows; all the threads that share the query raise it.
  void reset(const Kernels& table, Metric metric, const float* query, std::int64_t dim, std::int64_t k,
             std::span<const std::int64_t> excluded, std::atomic<double>* shared);

  // The score that a row must reach to matter.
  double threshold() const { return threshold_; }

  // Takes over what the other threads found out. Returns whether the threshold rose.
  bool refresh();

  // Adds a row, unless it is excluded or out of reach. Returns whether the threshold rose.
  bool offer(const Candidate& candidate);

  // Moves another thread's candidates of the same query here.
  void absorb(Collector& other);

  // The best k, exactly scored, best first. The collector is spent afterwards.
  std::span<const Candidate> finish();

 private:
  bool compact();
  void prune();
  void score_all();
  void raise(double threshold);
  bool is_excluded(std::int64_t label) const;

  const Kernels* table_ = nullptr;
  Metric metric_ = Metric::kDot;
  const float* query_ = nullptr;
  std::int64_t dim_ = 0;
  std::size_t k_ = 0;
  std::size_t capacity_ = 0;
  double threshold_ = 0;
  std::span<const std::int64_t> excluded_;  // ascending
  std::array<std::uint64_t, 64> marked_;    // a bit for the last 12 of each excluded label
  std::atomic<double>* shared_ = nullptr;
  std::vector<Candidate> candidates_;
  std::vector<double> lowers_;
  CandidateSorter sorter_;
};

}  // namespace shortlist
