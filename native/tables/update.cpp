#include "update.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "../threads.hpp"

namespace shortlist::tables {
namespace {

constexpr int kDigitBits = 11;
constexpr std::int64_t kAhead = 16;  // rows that are asked for before they are needed

// A row, and where in `ids` it stands.
struct Touch {
  std::uint32_t row;
  std::uint32_t position;
};

// The touches of one thread's rows, sorted by row and then by position.
std::vector<Touch> touches_of(const std::int64_t* ids, std::int64_t count, std::int64_t rows, int thread, int threads) {
  std::vector<Touch> found;
  found.reserve(static_cast<std::size_t>(count / threads + count / 8 + 16));
  for (std::int64_t i = 0; i < count; ++i)
    if (threads == 1 || ids[i] % threads == thread)
      found.push_back({static_cast<std::uint32_t>(ids[i]), static_cast<std::uint32_t>(i)});
  std::vector<Touch> sorted(found.size());
  for (int shift = 0; (rows - 1) >> shift > 0; shift += kDigitBits) {  // by digits, each pass keeping the order
    std::array<std::uint32_t, (1 << kDigitBits) + 1> begins{};
    const std::uint32_t mask = (1u << kDigitBits) - 1;
    for (const Touch& touch : found) ++begins[(touch.row >> shift & mask) + 1];
    for (std::size_t digit = 1; digit < begins.size(); ++digit) begins[digit] += begins[digit - 1];
    for (const Touch& touch : found) sorted[begins[touch.row >> shift & mask]++] = touch;
    found.swap(sorted);
  }
  return found;
}

void ask_for(const float* values, std::int64_t count) {
  for (std::int64_t j = 0; j < count; j += 16) __builtin_prefetch(values + j, 1);
}

class Stepper {
 public:
  Stepper(const Table& table, const Rule& rule, const float* gradients)
      : table_(table), rule_(rule), gradients_(gradients), kernels_(row_kernels()),
        sum_(static_cast<std::size_t>(table.dim)) {}

  void run(const std::vector<Touch>& touches) {
    for (std::size_t i = 0; i < touches.size();) {
      if (i + kAhead < touches.size()) ask_for_row(touches[i + kAhead]);
      std::size_t end = i + 1;
      while (end < touches.size() && touches[end].row == touches[i].row) ++end;
      step(touches[i].row, summed(touches, i, end));
      i = end;
    }
  }

 private:
  const float* gradient(const Touch& touch) const {
    return gradients_ + static_cast<std::int64_t>(touch.position) * table_.dim;
  }

  const float* summed(const std::vector<Touch>& touches, std::size_t begin, std::size_t end) {
    if (end == begin + 1) return gradient(touches[begin]);
    std::copy_n(gradient(touches[begin]), table_.dim, sum_.begin());
    for (std::size_t i = begin + 1; i < end; ++i) kernels_.add(sum_.data(), gradient(touches[i]), table_.dim);
    return sum_.data();
  }

  std::int64_t state_width() const { return rule_.kind == Rule::Kind::kRowwiseAdagrad ? 1 : table_.dim; }

  void ask_for_row(const Touch& touch) const {
    const std::int64_t row = touch.row;
    ask_for(table_.weight + row * table_.dim, table_.dim);
    if (table_.first != nullptr) ask_for(table_.first + row * state_width(), state_width());
    if (table_.second != nullptr) ask_for(table_.second + row * table_.dim, table_.dim);
  }

  void step(std::int64_t row, const float* gradient) {
    const std::int64_t dim = table_.dim;
    float* weight = table_.weight + row * dim;
    switch (rule_.kind) {
      case Rule::Kind::kSgd: return kernels_.sgd(rule_, gradient, dim, weight);
      case Rule::Kind::kAdagrad: return kernels_.adagrad(rule_, gradient, dim, weight, table_.first + row * dim);
      case Rule::Kind::kRowwiseAdagrad: return kernels_.rowwise_adagrad(rule_, gradient, dim, weight, table_.first + row);
      case Rule::Kind::kAdam:
        return kernels_.adam(rule_, gradient, dim, weight, table_.first + row * dim, table_.second + row * dim);
    }
  }

  const Table& table_;
  const Rule& rule_;
  const float* gradients_;
  const RowKernels& kernels_;
  std::vector<float> sum_;
};

}  // namespace

void update(const Table& table, const Rule& rule, const std::int64_t* ids, const float* gradients, std::int64_t count,
            int threads) {
  const int used = useful_threads(threads, count * table.dim * static_cast<std::int64_t>(sizeof(float)));
  run_threads(used, [&](int thread) {
    Stepper(table, rule, gradients).run(touches_of(ids, count, table.rows, thread, used));
  });
}

}  // namespace shortlist::tables
