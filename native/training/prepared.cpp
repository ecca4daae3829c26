#include "prepared.hpp"

#include <numeric>
#include <utility>

#include "../team.hpp"

namespace shortlist::training {
namespace {

Floats copied(const float* from, std::int64_t count, const std::int32_t* order = nullptr) {
  Floats to(static_cast<std::size_t>(padded(count)));
  for (std::int64_t i = 0; i < count && from != nullptr; ++i)
    to[static_cast<std::size_t>(i)] = from[order == nullptr ? i : order[i]];
  return to;
}

// Some columns of a layer's inputs: [width][outputs] forth, [outputs][width] back.
Packed forth_of(const Layer& layer, std::int64_t begin, std::int64_t width, const Kernels& table) {
  return {layer.weights + begin, width, layer.outputs, 1, layer.inputs, table};
}

Packed back_of(const Layer& layer, std::int64_t begin, std::int64_t width, const Kernels& table) {
  return {layer.weights + begin, layer.outputs, width, layer.inputs, 1, table};
}

PackedLayer packed(const Layer& layer, const Kernels& table, const std::int32_t* inputs = nullptr,
                   const std::int32_t* outputs = nullptr) {
  return {{layer.weights, layer.inputs, layer.outputs, 1, layer.inputs, table, inputs, outputs},
          {layer.weights, layer.outputs, layer.inputs, layer.inputs, 1, table, outputs, inputs},
          copied(layer.bias, layer.outputs, outputs)};
}

// The examples by the row that they take of the widest part that repeats.
std::vector<std::int64_t> by_widest(const Problem& problem) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(problem.examples));
  const Part* widest = nullptr;
  for (const Part& part : problem.parts)
    if (part.index != nullptr && (widest == nullptr || part.width > widest->width)) widest = &part;
  if (widest == nullptr) {
    std::iota(order.begin(), order.end(), 0);
    return order;
  }
  std::vector<std::int64_t> next(static_cast<std::size_t>(widest->count) + 1);
  for (std::int64_t i = 0; i < problem.examples; ++i) ++next[static_cast<std::size_t>(widest->index[i]) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  for (std::int64_t i = 0; i < problem.examples; ++i)
    order[static_cast<std::size_t>(next[static_cast<std::size_t>(widest->index[i])]++)] = i;
  return order;
}

}  // namespace

Prepared::Prepared(const Problem& problem_, const Kernels& table_, int threads)
    : problem(problem_), table(table_), order(by_widest(problem_)) {
  const Layer& first = problem.crosses.front();
  crosses.push_back({{}, {}, copied(first.bias, first.outputs)});
  for (std::size_t i = 1; i < problem.crosses.size(); ++i) crosses.push_back(packed(problem.crosses[i], table));
  std::vector<std::vector<std::int32_t>> orders;
  for (const Layer& layer : problem.hidden) {
    orders.emplace_back(static_cast<std::size_t>(padded(layer.outputs)));
    std::iota(orders.back().begin(), orders.back().end(), 0);
  }
  reorder(std::move(orders));
  std::int64_t begin = 0;
  const float* bias = crosses.front().bias.data();
  for (const Part& part : problem.parts) {
    parts.push_back({begin, forth_of(first, begin, part.width, table),
                     back_of(first, begin, part.width, table), {}, {}});
    begin += part.width;
    if (part.index == nullptr) continue;
    PreparedPart& mine = parts.back();
    mine.rows = Matrix(part.count, part.width);
    mine.products = Matrix(part.count, problem.width());
    const std::int64_t groups = mine.rows.rows() / kRowGroup;
    run_team(threads, [&](int thread) {
      const std::int64_t from = groups * thread / threads * kRowGroup, to = groups * (thread + 1) / threads * kRowGroup;
      for (std::int64_t row = from; row < std::min(to, part.count); ++row)
        std::copy_n(part.rows + row * part.width, part.width, mine.rows.row(row));
      table.multiply(to - from, mine.rows.at(from), mine.forth.panels(), bias, nullptr, mine.products.at(from));
    });
    bias = nullptr;
  }
}

void Prepared::reorder(std::vector<std::vector<std::int32_t>> orders) {
  units = std::move(orders);
  hidden.clear();
  for (std::size_t i = 0; i < problem.hidden.size(); ++i)
    hidden.push_back(packed(problem.hidden[i], table, inputs_of(i), units[i].data()));
  output = copied(problem.output.weights, problem.output.inputs, inputs_of(problem.hidden.size()));
}

}  // namespace shortlist::training
