#include "update.hpp"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "../team.hpp"
#include "noise.hpp"
#include "prefetch.hpp"
#include "touches.hpp"

namespace shortlist::tables {
namespace {

// The bag of each id.
std::vector<std::uint32_t> bags_of(const Gradients& gradients) {
  std::vector<std::uint32_t> bags(static_cast<std::size_t>(gradients.offsets == nullptr ? 0 : gradients.count));
  for (std::int64_t bag = 0; bag < gradients.bags; ++bag)
    std::fill(bags.begin() + gradients.offsets[bag], bags.begin() + gradients.offsets[bag + 1],
              static_cast<std::uint32_t>(bag));
  return bags;
}

template <class Rows>
class Stepper {
  static constexpr bool kHalf = std::is_same_v<Rows, HalfTable>;

 public:
  Stepper(const Rows& table, const Rule& rule, const Gradients& gradients, const std::vector<std::uint32_t>& bags)
      : table_(table), rule_(rule), gradients_(gradients), bags_(bags), kernels_(row_kernels()),
        sum_(static_cast<std::size_t>(table.dim)), wide_(static_cast<std::size_t>(kHalf ? 3 * table.dim : 0)) {}

  void run(const std::vector<Touch>& touches) {
    for (std::size_t i = 0; i < touches.size();) {
      if (i + kAhead < touches.size()) ask_for_row(touches[i + kAhead].row);
      std::size_t end = i + 1;
      while (end < touches.size() && touches[end].row == touches[i].row) ++end;
      step(touches[i].row, summed(touches.data() + i, touches.data() + end));
      i = end;
    }
  }

 private:
  const float* gradient(const Touch& touch) const {
    const std::int64_t source = bags_.empty() ? touch.position : bags_[touch.position];
    return gradients_.values + source * table_.dim;
  }

  const float* summed(const Touch* begin, const Touch* end) {
    if (gradients_.factors == nullptr) {
      if (end == begin + 1) return gradient(*begin);
      std::copy_n(gradient(*begin), table_.dim, sum_.begin());
      for (const Touch* each = begin + 1; each < end; ++each) kernels_.add(sum_.data(), gradient(*each), table_.dim);
    } else {
      std::fill(sum_.begin(), sum_.end(), 0.0f);
      for (const Touch* each = begin; each < end; ++each)
        kernels_.add_scaled(sum_.data(), gradient(*each), gradients_.factors[each->position], table_.dim);
    }
    return sum_.data();
  }

  void ask_for_row(std::int64_t row) const {
    const std::int64_t dim = table_.dim;
    ask_for(table_.weight + row * dim, dim);
    if constexpr (kHalf) {
      if (table_.accumulators != nullptr) ask_for(table_.accumulators + row, 1);
    } else if (rule_.kind == Rule::Kind::kRowwiseAdagrad) {
      return ask_for(table_.first + row, 1);
    }
    if (table_.first != nullptr) ask_for(table_.first + row * dim, dim);
    if (table_.second != nullptr) ask_for(table_.second + row * dim, dim);
  }

  void step(std::int64_t row, const float* gradient) {
    const std::int64_t dim = table_.dim, start = row * dim;
    if constexpr (kHalf) {
      Bfloat16* const stored[] = {table_.weight, table_.first, table_.second};
      for (int array = 0; array < 3; ++array)
        if (stored[array] != nullptr) kernels_.widen(stored[array] + start, dim, wide_.data() + array * dim);
      float* first = table_.accumulators == nullptr ? wide_.data() + dim : table_.accumulators + row;
      apply(gradient, wide_.data(), first, wide_.data() + 2 * dim);
      for (int array = 0; array < 3; ++array)
        if (stored[array] != nullptr)
          kernels_.narrow(wide_.data() + array * dim, row_key(table_.noise, row, array), dim, stored[array] + start);
    } else {
      const std::int64_t first = rule_.kind == Rule::Kind::kRowwiseAdagrad ? row : start;
      apply(gradient, table_.weight + start, part(table_.first, first), part(table_.second, start));
    }
  }

  static float* part(float* array, std::int64_t start) { return array == nullptr ? nullptr : array + start; }

  void apply(const float* gradient, float* weight, float* first, float* second) const {
    const std::int64_t dim = table_.dim;
    switch (rule_.kind) {
      case Rule::Kind::kSgd: return kernels_.sgd(rule_, gradient, dim, weight);
      case Rule::Kind::kAdagrad: return kernels_.adagrad(rule_, gradient, dim, weight, first);
      case Rule::Kind::kRowwiseAdagrad: return kernels_.rowwise_adagrad(rule_, gradient, dim, weight, first);
      case Rule::Kind::kAdam: return kernels_.adam(rule_, gradient, dim, weight, first, second);
    }
  }

  const Rows& table_;
  const Rule& rule_;
  const Gradients& gradients_;
  const std::vector<std::uint32_t>& bags_;
  const RowKernels& kernels_;
  std::vector<float> sum_;
  std::vector<float> wide_;  // the row in floats: weights, first and second state
};

template <class Rows>
void step_all(const Rows& table, const Rule& rule, const Gradients& gradients, int threads) {
  if (gradients.count == 0) return;  // a table may have no rows, by which the touches are divided
  const std::vector<std::uint32_t> bags = bags_of(gradients);
  const int used = useful_threads(threads, gradients.count * table.dim * static_cast<std::int64_t>(sizeof(float)));
  run_team(used, [&](int thread) {
    Stepper<Rows>(table, rule, gradients, bags).run(touches_of(gradients, table.rows, thread, used));
  });
}

}  // namespace

void update(const Table& table, const Rule& rule, const Gradients& gradients, int threads) {
  step_all(table, rule, gradients, threads);
}

void update(const HalfTable& table, const Rule& rule, const Gradients& gradients, int threads) {
  step_all(table, rule, gradients, threads);
}

}  // namespace shortlist::tables
