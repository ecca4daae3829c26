// What all threads of a pass read: the layers packed, and what equal parts of rows share.
#pragma once

#include <cstdint>
#include <vector>

#include "matrix.hpp"
#include "training.hpp"

namespace shortlist::training {

// A layer's weights for the way forth and the way back.
struct PackedLayer {
  Packed forth, back;
  Floats bias;
};

// A part and its share of the first cross. Where rows repeat, `rows` are padded and `products` are theirs with the
// cross's weights; the first such part's have the bias too.
struct PreparedPart {
  std::int64_t begin;  // column of the row
  Packed forth, back;
  Matrix rows, products;
};

struct Prepared {
  Prepared(const Problem& problem, const Kernels& table, int threads);

  // Packs the hidden layers again with their units in another order.
  void reorder(std::vector<std::vector<std::int32_t>> orders);

  // The units of what a hidden layer reads, or the last makes, in their order; null: as they are.
  const std::int32_t* inputs_of(std::size_t layer) const { return layer == 0 ? nullptr : units[layer - 1].data(); }

  const Problem& problem;
  const Kernels& table;
  std::vector<PreparedPart> parts;
  std::vector<PackedLayer> crosses, hidden;  // the first cross has a bias alone
  std::vector<std::vector<std::int32_t>> units;  // of each hidden layer, padded
  Floats output;
  std::vector<std::int64_t> order;  // of the examples: those of one user are neighbours
};

}  // namespace shortlist::training
