#include "worker.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "../tables/noise.hpp"

namespace shortlist::training {
namespace {

constexpr std::int64_t kAhead = 4;  // examples whose parts are asked for before they are needed

struct Slope {
  double loss;
  float slope;
};

Slope slope_of(Loss loss, float score, float label, float weight) {
  if (loss == Loss::kSquared) {
    const float error = score - label;
    return {static_cast<double>(weight) * error * error, 2 * weight * error};
  }
  const float small = std::exp(-std::abs(score));
  const float chance = (score >= 0 ? 1.0f : small) / (1 + small);
  const double nats = std::max(score, 0.0f) - static_cast<double>(score) * label + std::log1p(small);
  return {weight * nats, weight * (chance - label)};
}

std::int64_t widest_of(const Problem& problem) {
  std::int64_t width = problem.width();
  for (const Layer& layer : problem.hidden) width = std::max(width, layer.outputs);
  return width;
}

}  // namespace

Worker::Worker(const Prepared& prepared, Sums& sums)
    : prepared_(prepared),
      problem_(prepared.problem),
      table_(prepared.table),
      sums_(sums),
      width_(padded(problem_.width())),
      kept_(1 / (1 - problem_.dropout)),
      base_(kBlock, problem_.width()),
      products_(problem_.crosses.size(), base_),
      crossed_(products_),
      grad_(kBlock, widest_of(problem_)),
      other_(grad_),
      grad_base_(base_) {
  for (const Part& part : problem_.parts) (part.index == nullptr ? has_own_ : has_shared_) = true;
  for (const Layer& layer : problem_.hidden) {
    hidden_.emplace_back(kBlock, layer.outputs);
    activity_.emplace_back(kBlock, layer.outputs);
  }
}

std::vector<std::vector<std::int32_t>> Worker::rarest_first(const std::int64_t* examples, std::int64_t count) {
  go_forth(examples, count);
  std::vector<std::vector<std::int32_t>> orders;
  for (std::size_t i = 0; i < hidden_.size(); ++i)
    orders.push_back(activity_[i].rarest_first(count, problem_.hidden[i].outputs));
  return orders;
}

void Worker::train(const std::int64_t* examples, std::int64_t count) {
  go_forth(examples, count);
  score();
  unhide();
  uncross();
  uncross_first();
}

void Worker::go_forth(const std::int64_t* examples, std::int64_t count) {
  examples_ = examples;
  count_ = count;
  rows_ = rounded_up(count, kRowGroup);
  take();
  cross();
  hide();
}

// The block's rows, their products with the first cross, and what that makes of them.
void Worker::take() {
  for (std::int64_t r = count_; r < rows_; ++r)  // what does not count is zeros, whatever the bias
    for (Matrix* each : {&base_, &products_[0], &crossed_[0]}) std::fill_n(each->row(r), width_, 0.0f);
  for (std::int64_t r = 0; r < count_; ++r) {
    if (r + kAhead < count_) prefetch(r + kAhead);
    take_row(r);
    if (!has_own_) table_.cross(width_, base_.row(r), products_[0].row(r), base_.row(r), crossed_[0].row(r));
  }
  if (!has_own_) return;
  for (std::size_t p = 0; p < problem_.parts.size(); ++p)
    if (problem_.parts[p].index == nullptr)
      table_.multiply_add(rows_, base_.at(0, prepared_.parts[p].begin), prepared_.parts[p].forth.panels(),
                          products_[0].at(0));
  for (std::int64_t r = 0; r < count_; ++r)
    table_.cross(width_, base_.row(r), products_[0].row(r), base_.row(r), crossed_[0].row(r));
}

// A row, and the products of its parts that repeat.
void Worker::take_row(std::int64_t number) {
  float* product = products_[0].row(number);
  const float* sum = nullptr;
  for (std::size_t p = 0; p < problem_.parts.size(); ++p) {
    const Part& part = problem_.parts[p];
    const PreparedPart& mine = prepared_.parts[p];
    const std::int64_t row = row_of(p, number);
    std::copy_n(part.rows + row * part.width, part.width, base_.row(number) + mine.begin);
    if (part.index == nullptr) continue;
    if (sum != nullptr) table_.add(width_, sum, mine.products.row(row), product);
    sum = sum == nullptr ? mine.products.row(row) : product;
  }
  if (sum == nullptr) sum = prepared_.crosses[0].bias.data();
  if (sum != product) std::copy_n(sum, width_, product);
}

void Worker::prefetch(std::int64_t number) const {
  for (std::size_t p = 0; p < problem_.parts.size(); ++p) {
    if (problem_.parts[p].index == nullptr) continue;
    const float* products = prepared_.parts[p].products.row(row_of(p, number));
    const float* gradients = sums_.parts[p].products.row(row_of(p, number));
    for (std::int64_t i = 0; i < width_; i += kRoom) {
      __builtin_prefetch(products + i);
      __builtin_prefetch(gradients + i, 1);
    }
  }
}

void Worker::cross() {
  for (std::size_t i = 1; i < crossed_.size(); ++i) {
    const Matrix& from = crossed_[i - 1];
    const PackedLayer& layer = prepared_.crosses[i];
    table_.multiply(rows_, from.at(0), layer.forth.panels(), layer.bias.data(), nullptr, products_[i].at(0));
    for (std::int64_t r = 0; r < rows_; ++r)
      table_.cross(width_, base_.row(r), products_[i].row(r), from.row(r), crossed_[i].row(r));
  }
}

void Worker::hide() {
  for (std::size_t i = 0; i < hidden_.size(); ++i) {
    const Matrix& from = i == 0 ? crossed_.back() : hidden_[i - 1];
    const PackedLayer& layer = prepared_.hidden[i];
    const Active active = i == 0 ? Active{} : activity_[i - 1].columns();
    table_.multiply_positive(rows_, from.at(0), layer.forth.panels(), layer.bias.data(), i == 0 ? nullptr : &active,
                             hidden_[i].at(0));
    if (problem_.dropout > 0) drop(i);
    activity_[i].find(table_, rows_, hidden_[i]);
  }
}

void Worker::drop(std::size_t layer) {
  const auto threshold = static_cast<std::uint32_t>(std::ldexp(static_cast<double>(problem_.dropout), 32));
  const std::uint64_t noise = tables::step_noise(problem_.seed, layer);
  for (std::int64_t r = 0; r < count_; ++r)
    table_.drop(padded(problem_.hidden[layer].outputs), prepared_.units[layer].data(),
                tables::row_key(noise, examples_[r], 0), threshold, kept_, hidden_[layer].row(r));
}

// The scores, their losses, and what the last layer's gradients are.
void Worker::score() {
  const std::int64_t width = padded(problem_.last_width());
  const float* weights = prepared_.output.data();
  const float start = problem_.start + (problem_.output.bias == nullptr ? 0.0f : *problem_.output.bias);
  for (std::int64_t r = 0; r < rows_; ++r) {
    float* grad = grad_.row(r);
    if (r >= count_ || hidden_.empty()) std::fill_n(grad, width, 0.0f);
    if (r >= count_) continue;
    const float* from = last().row(r);
    const float score = table_.dot(width, from, weights) + start;
    const std::int64_t example = examples_[r];
    const Slope found = slope_of(problem_.loss, score, problem_.labels[example], problem_.weights[example]);
    sums_.loss += found.loss;
    sums_.output.bias[0] += found.slope;
    table_.add_scaled(width, found.slope, from, sums_.output.weights.row(0));
    if (hidden_.empty()) {
      table_.add_scaled(width, found.slope, weights, grad);
    } else {
      table_.gate(width, found.slope * kept_, weights, from, grad);
    }
  }
}

void Worker::unhide() {
  for (std::size_t i = hidden_.size(); i-- > 0;) {
    const Layer& layer = problem_.hidden[i];
    const Matrix& from = i == 0 ? crossed_.back() : hidden_[i - 1];
    const Panels back = prepared_.hidden[i].back.panels();
    LayerSums& sums = sums_.hidden[i];
    // A unit that is off has no gradient either.
    const Active columns = activity_[i].columns(), rows = activity_[i].rows();
    table_.add_outer(rows_, grad_.at(0), padded(layer.outputs), from.at(0), padded(layer.inputs), &rows,
                     sums.bias.data(), sums.weights.at(0));
    if (i == 0) {
      table_.multiply(rows_, grad_.at(0), back, nullptr, &columns, other_.at(0));
    } else {
      table_.multiply_gated(rows_, grad_.at(0), back, {from.at(0), kept_}, &columns, other_.at(0));
    }
    std::swap(grad_, other_);
  }
}

// All crosses but the first.
void Worker::uncross() {
  if (crossed_.size() > 1)
    for (std::int64_t r = 0; r < rows_; ++r) std::fill_n(grad_base_.row(r), width_, 0.0f);
  for (std::size_t i = crossed_.size(); i-- > 1;) {
    LayerSums& sums = sums_.crosses[i - 1];
    for (std::int64_t r = 0; r < rows_; ++r)
      table_.uncross(width_, base_.row(r), products_[i].row(r), grad_.row(r), grad_base_.row(r), other_.row(r));
    table_.add_outer(rows_, other_.at(0), width_, crossed_[i - 1].at(0), width_, nullptr, sums.bias.data(),
                     sums.weights.at(0));
    table_.multiply_add(rows_, other_.at(0), prepared_.crosses[i].back.panels(), grad_.at(0));
  }
}

// The first cross. Without parts of each example's own the gradients of a row go to its parts at once, and all rows'
// come and go in one place, which stays near.
void Worker::uncross_first() {
  const bool later = crossed_.size() > 1;
  for (std::int64_t r = 0; r < rows_; ++r) {
    const std::int64_t place = has_own_ ? r : 0;
    const float* before = later ? grad_base_.row(r) : nullptr;
    table_.uncross_first(width_, base_.row(r), products_[0].row(r), grad_.row(r), before, grad_base_.row(place),
                         other_.row(place));
    if (!has_own_ && r < count_) give(r, place);
  }
  if (!has_own_) return;
  float* bias = has_shared_ ? nullptr : sums_.first_bias.data();
  for (std::size_t p = 0; p < problem_.parts.size(); ++p) {
    const Part& part = problem_.parts[p];
    const PreparedPart& mine = prepared_.parts[p];
    if (part.index != nullptr) continue;
    table_.add_outer(rows_, other_.at(0), width_, base_.at(0, mine.begin), padded(part.width), nullptr,
                     std::exchange(bias, nullptr), sums_.parts[p].weights.at(0));
    table_.multiply_add(rows_, other_.at(0), mine.back.panels(), grad_base_.at(0, mine.begin));
  }
  for (std::int64_t r = 0; r < count_; ++r) give(r, r);
}

// Gives the parts of a row its gradients, which are at `place`.
void Worker::give(std::int64_t number, std::int64_t place) {
  for (std::size_t p = 0; p < problem_.parts.size(); ++p) {
    const Part& part = problem_.parts[p];
    const float* grad = grad_base_.row(place) + prepared_.parts[p].begin;
    const std::int64_t row = row_of(p, number);
    if (part.index == nullptr) {
      std::copy_n(grad, part.width, part.gradient + row * part.width);
    } else {
      float *rows = sums_.parts[p].rows.row(row), *products = sums_.parts[p].products.row(row);
      table_.add(part.width, rows, grad, rows);
      table_.add(width_, products, other_.row(place), products);
    }
  }
}

std::int64_t Worker::row_of(std::size_t part, std::int64_t number) const {
  const std::int64_t* index = problem_.parts[part].index;
  return index == nullptr ? examples_[number] : index[examples_[number]];
}

}  // namespace shortlist::training
