#include "training.hpp"

#include <algorithm>
#include <utility>

#include "../team.hpp"
#include "prepared.hpp"
#include "sums.hpp"
#include "worker.hpp"

namespace shortlist::training {
namespace {

// Products that take as long as a byte of memory, as `useful_threads` counts them.
constexpr std::int64_t kProductsPerByte = 1 << 4;
// Blocks of examples from which on it pays to let one go through the network beforehand.
constexpr std::int64_t kSampled = 8;

std::int64_t products_of(const Problem& problem) {
  std::int64_t products = 0;
  for (const Layer& layer : problem.hidden) products += layer.inputs * layer.outputs;
  for (const Layer& layer : problem.crosses) products += layer.inputs * layer.outputs;
  return 3 * products * problem.examples;
}

class Pass {
 public:
  Pass(const Problem& problem, std::string_view products, int threads)
      : problem_(problem),
        table_(kernels(products)),
        threads_(useful_threads(threads, products_of(problem) / kProductsPerByte)),
        prepared_(problem, table_, threads_) {
    for (int thread = 0; thread < threads_; ++thread) sums_.emplace_back(problem);
    order_units();
  }

  double run() {
    run_team(threads_, [&](int thread) {
      Worker worker(prepared_, sums_[static_cast<std::size_t>(thread)]);
      const std::int64_t end = problem_.examples * (thread + 1) / threads_;
      for (std::int64_t first = problem_.examples * thread / threads_; first < end; first += kBlock)
        worker.train(prepared_.order.data() + first, std::min(kBlock, end - first));
    });
    add_up();
    float* bias = sums_[0].first_bias.data();
    for (std::size_t p = 0; p < problem_.parts.size(); ++p) {
      if (problem_.parts[p].index != nullptr) finish(p, std::exchange(bias, nullptr));
      write_weights(p);
    }
    write_layers();
    return sums_[0].loss;
  }

 private:
  // Units that are seldom on side by side, as a sample of the examples has it, so that products with whole groups of
  // them are not made. No number of the results depends on it.
  void order_units() {
    const std::int64_t step = problem_.examples / kBlock;
    if (step < kSampled || problem_.hidden.empty()) return;
    std::vector<std::int64_t> sample;
    for (std::int64_t i = 0; i < kBlock; ++i) sample.push_back(prepared_.order[static_cast<std::size_t>(i * step)]);
    prepared_.reorder(Worker(prepared_, sums_[0]).rarest_first(sample.data(), kBlock));
  }

  // The sums of all threads in those of the first.
  void add_up() {
    std::vector<std::vector<Floats*>> arrays;
    for (Sums& each : sums_) arrays.push_back(each.arrays());
    run_team(threads_, [&](int thread) {
      for (std::size_t a = 0; a < arrays[0].size(); ++a) {
        const auto size = static_cast<std::int64_t>(arrays[0][a]->size());
        const std::int64_t from = size * thread / threads_, to = size * (thread + 1) / threads_;
        float* sum = arrays[0][a]->data() + from;
        for (std::size_t other = 1; other < arrays.size(); ++other)
          table_.add(to - from, sum, arrays[other][a]->data() + from, sum);
      }
    });
    for (std::size_t other = 1; other < sums_.size(); ++other) sums_[0].loss += sums_[other].loss;
  }

  // What the sums of a part's products give to its rows and to the first cross; a bias that is not null is filled.
  void finish(std::size_t p, float* bias) {
    const Part& part = problem_.parts[p];
    const PreparedPart& mine = prepared_.parts[p];
    PartSums& sums = sums_[0].parts[p];
    const std::int64_t height = padded(problem_.width());
    sums.weights = Matrix(height, part.width);
    run_team(threads_, [&](int thread) {
      const auto share = [&](std::int64_t whole, std::int64_t unit, int number) {
        return whole / unit * number / threads_ * unit;
      };
      const std::int64_t top = share(height, kRowGroup, thread), bottom = share(height, kRowGroup, thread + 1);
      if (bottom > top)
        for (std::int64_t row = 0; row < sums.products.rows(); row += kBlock)
          table_.add_outer(std::min(kBlock, sums.products.rows() - row), sums.products.at(row, top), bottom - top,
                           mine.rows.at(row), padded(part.width), nullptr, bias == nullptr ? nullptr : bias + top,
                           sums.weights.at(top));
      const std::int64_t from = share(sums.rows.rows(), kRowGroup, thread);
      const std::int64_t to = share(sums.rows.rows(), kRowGroup, thread + 1);
      table_.multiply_add(to - from, sums.products.at(from), mine.back.panels(), sums.rows.at(from));
      for (std::int64_t row = from; row < std::min(to, part.count); ++row)
        std::copy_n(sums.rows.row(row), part.width, part.gradient + row * part.width);
    });
  }

  void write_weights(std::size_t p) {
    const std::int64_t width = problem_.width();
    float* to = problem_.crosses.front().grad_weights + prepared_.parts[p].begin;
    for (std::int64_t i = 0; i < width; ++i)
      std::copy_n(sums_[0].parts[p].weights.row(i), problem_.parts[p].width, to + i * width);
  }

  void write_layers() {
    write_bias(problem_.crosses.front(), sums_[0].first_bias);
    for (std::size_t i = 1; i < problem_.crosses.size(); ++i) write(problem_.crosses[i], sums_[0].crosses[i - 1]);
    for (std::size_t i = 0; i < problem_.hidden.size(); ++i)
      write(problem_.hidden[i], sums_[0].hidden[i], prepared_.inputs_of(i), prepared_.inputs_of(i + 1));
    write(problem_.output, sums_[0].output, prepared_.inputs_of(problem_.hidden.size()));
  }

  // Back in the layer's own order of inputs and outputs.
  void write(const Layer& layer, const LayerSums& sums, const std::int32_t* inputs = nullptr,
             const std::int32_t* outputs = nullptr) const {
    for (std::int64_t i = 0; i < layer.outputs; ++i) {
      const float* from = sums.weights.row(i);
      float* to = layer.grad_weights + (outputs == nullptr ? i : outputs[i]) * layer.inputs;
      for (std::int64_t j = 0; j < layer.inputs; ++j) to[inputs == nullptr ? j : inputs[j]] = from[j];
    }
    write_bias(layer, sums.bias, outputs);
  }

  void write_bias(const Layer& layer, const Floats& bias, const std::int32_t* outputs = nullptr) const {
    for (std::int64_t i = 0; i < layer.outputs && layer.grad_bias != nullptr; ++i)
      layer.grad_bias[outputs == nullptr ? i : outputs[i]] = bias[static_cast<std::size_t>(i)];
  }

  const Problem& problem_;
  const Kernels& table_;
  int threads_;
  Prepared prepared_;
  std::vector<Sums> sums_;
};

}  // namespace

double loss_and_gradients(const Problem& problem, std::string_view products, int threads) {
  return Pass(problem, products, threads).run();
}

}  // namespace shortlist::training
