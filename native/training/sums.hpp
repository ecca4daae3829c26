// What a thread's examples add to the gradients.
#pragma once

#include <utility>
#include <vector>

#include "matrix.hpp"
#include "training.hpp"

namespace shortlist::training {

struct LayerSums {
  Matrix weights;
  Floats bias;

  explicit LayerSums(const Layer& layer)
      : weights(padded(layer.outputs), layer.inputs), bias(static_cast<std::size_t>(padded(layer.outputs))) {}
};

// Of a part whose rows repeat: the gradients of its rows but for what comes through the products, and those of the
// products. Of another: those of the first cross's weights.
struct PartSums {
  Matrix rows, products, weights;
};

struct Sums {
  explicit Sums(const Problem& problem)
      : first_bias(static_cast<std::size_t>(padded(problem.width()))), output(problem.output) {
    for (const Part& part : problem.parts) {
      if (part.index == nullptr) {
        parts.push_back({{}, {}, Matrix(padded(problem.width()), part.width)});
      } else {
        parts.push_back({Matrix(part.count, part.width), Matrix(part.count, problem.width()), {}});
      }
    }
    for (std::size_t i = 1; i < problem.crosses.size(); ++i) crosses.emplace_back(problem.crosses[i]);
    for (const Layer& layer : problem.hidden) hidden.emplace_back(layer);
  }

  // All numbers but the loss.
  std::vector<Floats*> arrays() {
    std::vector<Floats*> found{&first_bias};
    for (PartSums& part : parts)
      for (Matrix* each : {&part.rows, &part.products, &part.weights}) found.push_back(&each->numbers());
    for (std::vector<LayerSums>* layers : {&crosses, &hidden})
      for (LayerSums& layer : *layers) found.insert(found.end(), {&layer.weights.numbers(), &layer.bias});
    found.insert(found.end(), {&output.weights.numbers(), &output.bias});
    return found;
  }

  std::vector<PartSums> parts;
  Floats first_bias;               // of the first cross
  std::vector<LayerSums> crosses;  // but for the first
  std::vector<LayerSums> hidden;
  LayerSums output;
  double loss = 0;
};

}  // namespace shortlist::training
