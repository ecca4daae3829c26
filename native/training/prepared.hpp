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

  const Problem& problem;
  const Kernels& table;
  std::vector<PreparedPart> parts;
  std::vector<PackedLayer> crosses, hidden;  // the first cross has a bias alone
  Floats output;
  std::vector<std::int64_t> order;  // of the examples: those of one user are neighbours
};

}  // namespace shortlist::training
