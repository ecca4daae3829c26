// A ranker's network on a batch of single events: the loss and all gradients in one pass. Block by block, a row is put
// together, goes through the layers and comes back, and never leaves the processor's cache.
//
// Work is saved in two ways. What equal parts of rows share is computed once: the first cross multiplies all of a row,
// and the products of a user's part are the same in all rows of the user; so are those of the gradients, once these are
// added up. And hidden units that are off in neighbouring rows are left out of products, see activity.hpp.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace shortlist::training {

// Neighbouring columns of the rows.
struct Part {
  const float* rows;          // [count][width]
  std::int64_t count, width;
  const std::int64_t* index;  // [examples] which row each example takes; null: the one of its number
  float* gradient;            // [count][width]
};

// A linear layer; what is null is not there.
struct Layer {
  std::int64_t inputs, outputs;
  const float* weights;  // [outputs][inputs]
  const float* bias;     // [outputs]
  float* grad_weights;
  float* grad_bias;
};

enum class Loss : std::int64_t { kSquared = 0, kLogistic = 1 };

// Crosses x0 * layer(x) + x, at least one; hidden layers max(layer(x), 0), a share `dropout` of whose units is hidden;
// then one number.
struct Problem {
  std::int64_t examples;
  std::vector<Part> parts;
  std::vector<Layer> crosses, hidden;
  Layer output;
  float start;           // added to the output
  float dropout;
  std::uint64_t seed;    // of what is hidden, which depends on it, the example, the layer and the column alone
  Loss loss;
  const float* labels;   // [examples]
  const float* weights;  // [examples] of the losses

  std::int64_t width() const { return crosses.front().inputs; }
  std::int64_t last_width() const { return output.inputs; }
};

// Fills the gradients of the weighted sum of the losses, which is returned. `products` names the table of
// kernels (see kernels.hpp); "" is float32. The same numbers for the same number of threads.
double loss_and_gradients(const Problem& problem, std::string_view products, int threads);

}  // namespace shortlist::training
