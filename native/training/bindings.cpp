#include "bindings.hpp"

#include <nanobind/stl/string.h>

#include <string>

#include "../arrays.hpp"
#include "distinct.hpp"
#include "training.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::training {
namespace {

using Floats = Array<const float, 1>;
using Numbers = Array<const std::int64_t, 1>;
using Weights = Array<const float, 2>;

constexpr std::int64_t kWidest = 1 << 20;

// The arrays of a list, none of them converted; None is one that is not valid.
template <class AnyArray>
std::vector<AnyArray> arrays_of(const nb::list& list) {
  std::vector<AnyArray> found;
  for (nb::handle each : list) found.push_back(each.is_none() ? AnyArray() : nb::cast<AnyArray>(each, false));
  return found;
}

std::int64_t size(std::size_t length) { return static_cast<std::int64_t>(length); }

// Keeps the arrays that the layers look at.
struct Layers {
  Layers(const nb::list& weights_, const nb::list& biases_, const nb::list& grad_weights_, const nb::list& grad_biases_)
      : weights(arrays_of<Weights>(weights_)),
        biases(arrays_of<Floats>(biases_)),
        grad_weights(arrays_of<Array<float, 2>>(grad_weights_)),
        grad_biases(arrays_of<Array<float, 1>>(grad_biases_)) {
    const std::size_t count = weights.size();
    require(biases.size() == count && grad_weights.size() == count && grad_biases.size() == count,
            "every layer has weights, a bias and their gradients");
    for (std::size_t i = 0; i < count; ++i) {
      require(weights[i].is_valid() && grad_weights[i].is_valid(), "every layer has weights");
      require(weights[i].shape(0) == grad_weights[i].shape(0) && weights[i].shape(1) == grad_weights[i].shape(1),
              "gradients are as what they are of");
      require(inputs(i) >= 1 && inputs(i) <= kWidest && outputs(i) >= 1 && outputs(i) <= kWidest,
              "a width is out of range");
      require(biases[i].is_valid() == grad_biases[i].is_valid(), "a bias and its gradient come together");
      require(!biases[i].is_valid() || (size(biases[i].shape(0)) == outputs(i) &&
                                        size(grad_biases[i].shape(0)) == outputs(i)),
              "a bias is as wide as its layer's output");
    }
  }

  std::int64_t inputs(std::size_t i) const { return size(weights[i].shape(1)); }
  std::int64_t outputs(std::size_t i) const { return size(weights[i].shape(0)); }
  Layer at(std::size_t i) const {
    return {inputs(i),
            outputs(i),
            weights[i].data(),
            data_or_null(biases[i]),
            grad_weights[i].data(),
            data_or_null(grad_biases[i])};
  }

  std::vector<Weights> weights;
  std::vector<Floats> biases;
  std::vector<Array<float, 2>> grad_weights;
  std::vector<Array<float, 1>> grad_biases;
};

// Keeps the arrays that the parts look at.
struct Parts {
  Parts(const nb::list& rows_, const nb::list& index_, const nb::list& gradients_)
      : rows(arrays_of<Weights>(rows_)),
        index(arrays_of<Numbers>(index_)),
        gradients(arrays_of<Array<float, 2>>(gradients_)) {
    require(rows.size() == index.size() && rows.size() == gradients.size(), "every part has rows and gradients");
  }

  Part at(std::size_t i, std::int64_t examples) const {
    require(rows[i].is_valid() && gradients[i].is_valid() && rows[i].shape(0) == gradients[i].shape(0) &&
                rows[i].shape(1) == gradients[i].shape(1),
            "gradients are as what they are of");
    const std::int64_t count = size(rows[i].shape(0));
    if (index[i].is_valid()) {
      require(size(index[i].shape(0)) == examples, "an index must be [examples]");
      bool inside = true;  // a negative row is a huge one
      for (std::int64_t j = 0; j < examples; ++j)
        inside &= static_cast<std::uint64_t>(index[i].data()[j]) < static_cast<std::uint64_t>(count);
      require(inside, "an index names no row of its part");
    } else {
      require(count == examples, "a part without an index has a row for each example");
    }
    return {rows[i].data(), count, size(rows[i].shape(1)), data_or_null(index[i]), gradients[i].data()};
  }

  std::vector<Weights> rows;
  std::vector<Numbers> index;
  std::vector<Array<float, 2>> gradients;
};

// The first `crosses` layers are crosses, the last is the output.
void set_layers(Problem& problem, const Layers& layers, std::size_t crosses) {
  const std::size_t count = layers.weights.size();
  require(crosses >= 1 && crosses < count, "there are a cross and an output");
  std::int64_t width = layers.inputs(0);
  for (std::size_t i = 0; i < count; ++i) {
    require(layers.inputs(i) == width, "a layer reads what the one before it makes");
    width = layers.outputs(i);
    require(i >= crosses || width == layers.inputs(0), "a cross is as wide as a row");
    if (i + 1 < count) (i < crosses ? problem.crosses : problem.hidden).push_back(layers.at(i));
  }
  require(width == 1, "the output is one number");
  problem.output = layers.at(count - 1);
}

double run(nb::list rows, nb::list index, nb::list grad_rows, nb::list weights, nb::list biases,
           nb::list grad_weights, nb::list grad_biases, std::size_t crosses, float start, float dropout,
           std::uint64_t seed, std::int64_t loss, Floats labels, Floats loss_weights, const std::string& products,
           int threads) {
  const Layers layers(weights, biases, grad_weights, grad_biases);
  const Parts parts(rows, index, grad_rows);
  require(labels.shape(0) == loss_weights.shape(0), "there is a weight for each label");
  require(dropout >= 0 && dropout < 1, "dropout is a share below 1");
  require(loss == 0 || loss == 1, "no loss has that number");
  Problem problem{size(labels.shape(0)), {}, {}, {}, {}, start, dropout, seed, static_cast<Loss>(loss), labels.data(),
                  loss_weights.data()};
  set_layers(problem, layers, crosses);
  std::int64_t width = 0;
  for (std::size_t i = 0; i < parts.rows.size(); ++i) {
    problem.parts.push_back(parts.at(i, problem.examples));
    width += problem.parts.back().width;
  }
  require(width == problem.width(), "the parts of a row must be as wide as the network's input");
  nb::gil_scoped_release unlocked;
  return loss_and_gradients(problem, products, threads);
}

}  // namespace

void bind(nb::module_& m) {
  m.def("event_loss_and_gradients", &run, "rows"_a, "index"_a, "grad_rows"_a, "weights"_a, "biases"_a, "grad_weights"_a,
        "grad_biases"_a, "crosses"_a, "start"_a, "dropout"_a, "seed"_a, "loss"_a, "labels"_a.noconvert(),
        "loss_weights"_a.noconvert(), "products"_a, "threads"_a);
  m.def(
      "find_distinct",
      [](Numbers ids, Array<std::int64_t, 1> rows, Array<std::int64_t, 1> index) {
        require(rows.shape(0) == ids.shape(0) && index.shape(0) == ids.shape(0), "as much room as there are ids");
        nb::gil_scoped_release unlocked;
        return find_distinct(ids.data(), size(ids.shape(0)), rows.data(), index.data());
      },
      "ids"_a.noconvert(), "rows"_a.noconvert(), "index"_a.noconvert());
}

}  // namespace shortlist::training
