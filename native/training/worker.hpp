// One thread's way through the network and back, a block of examples at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "activity.hpp"
#include "prepared.hpp"
#include "sums.hpp"

namespace shortlist::training {

constexpr std::int64_t kBlock = 96;  // rows whose layers, with the weights, fit into a core's own cache

class Worker {
 public:
  Worker(const Prepared& prepared, Sums& sums);

  // The loss and the gradients of up to kBlock examples.
  void train(const std::int64_t* examples, std::int64_t count);

  // The units of each hidden layer, those that the fewest of these examples put on first.
  std::vector<std::vector<std::int32_t>> rarest_first(const std::int64_t* examples, std::int64_t count);

 private:
  void go_forth(const std::int64_t* examples, std::int64_t count);
  void take();
  void take_row(std::int64_t number);
  void prefetch(std::int64_t number) const;
  void cross();
  void hide();
  void score();
  void unhide();
  void uncross();
  void uncross_first();
  void give(std::int64_t number, std::int64_t place);

  void drop(std::size_t layer);
  Matrix& last() { return hidden_.empty() ? crossed_.back() : hidden_.back(); }
  std::int64_t row_of(std::size_t part, std::int64_t number) const;

  const Prepared& prepared_;
  const Problem& problem_;
  const Kernels& table_;
  Sums& sums_;
  const std::int64_t width_;       // of a row, padded
  const float kept_;               // what hidden units that are kept are multiplied by
  bool has_own_ = false, has_shared_ = false;  // parts of each example's own, and parts that repeat
  const std::int64_t* examples_ = nullptr;
  std::int64_t count_ = 0, rows_ = 0;  // of the block; rows are whole groups
  Matrix base_;                    // the block's rows
  std::vector<Matrix> products_;   // of each cross
  std::vector<Matrix> crossed_;    // what it makes of them
  std::vector<Matrix> hidden_;     // what each hidden layer makes
  std::vector<Activity> activity_;  // of each hidden layer
  Matrix grad_, other_;            // of the layer at hand
  Matrix grad_base_;
};

}  // namespace shortlist::training
