// The inner loops of the training of a network, one table for each instruction set.
//
// Rows lie in memory one stride apart, with zeros behind their width up to the next multiple of kRoom. Blocks of rows
// are whole groups of kRowGroup.
#pragma once

#include <cstdint>
#include <string_view>

namespace shortlist::training {

constexpr std::int64_t kRoom = 16;
constexpr std::int64_t kRowGroup = 8;

constexpr std::int64_t rounded_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

constexpr std::int64_t padded(std::int64_t width) { return rounded_up(width, kRoom); }

struct Source {
  const float* data;
  std::int64_t stride;

  const float* row(std::int64_t number) const { return data + number * stride; }
  Source from(std::int64_t column) const { return {data + column, stride}; }
};

struct Target {
  float* data;
  std::int64_t stride;

  float* row(std::int64_t number) const { return data + number * stride; }
  Target from(std::int64_t column) const { return {data + column, stride}; }
  operator Source() const { return {data, stride}; }
};

// A matrix [inputs][outputs], `outputs` padded, cut into panels of columns: a panel is [inputs][its columns].
struct Panels {
  std::int64_t inputs;
  std::int64_t outputs;
  const float* data;
  float unit;  // of its numbers
};

// What becomes of a number of a product where another is positive; elsewhere it is 0.
struct Gate {
  Source where;
  float factor;
};

// What is not zero in some rows, by groups of kRowGroup: group g has counts[g] numbers from numbers[g * stride] on.
struct Active {
  const std::int32_t* numbers;
  std::int64_t stride;
  const std::int32_t* counts;
};

struct Kernels {
  const char* name;
  std::int64_t panel;  // columns of a panel; the last has what is left

  // Panels in the form that the products read, in their place, and the unit of their numbers; null: as they are.
  float (*shorten)(std::int64_t inputs, std::int64_t outputs, float* panels);

  // to = bias + from @ matrix; a bias that is null is 0. Where `inputs` is not null, here and below, it has the columns
  // of each group of rows of `from` that are not all zero.
  void (*multiply)(std::int64_t rows, Source from, const Panels& matrix, const float* bias, const Active* inputs,
                   Target to);
  // to = max(bias + from @ matrix, 0); NaN stays NaN.
  void (*multiply_positive)(std::int64_t rows, Source from, const Panels& matrix, const float* bias,
                            const Active* inputs, Target to);
  // to += from @ matrix.
  void (*multiply_add)(std::int64_t rows, Source from, const Panels& matrix, Target to);
  // to = from @ matrix through a gate.
  void (*multiply_gated)(std::int64_t rows, Source from, const Panels& matrix, const Gate& gate, const Active* inputs,
                         Target to);

  // to[i][j] += sum over the rows of left[row][i] * right[row][j], for i < height and j < width, both padded; and
  // sums_of_left[i] += sum over the rows of left[row][i], unless it is null. Where `active` is not null, it has
  // the rows of each group of columns of `left` that are not all zero.
  void (*add_outer)(std::int64_t rows, Source left, std::int64_t height, Source right, std::int64_t width,
                    const Active* active, float* sums_of_left, Target to);

  // The rest go through `count` numbers of a row; where not "any", a multiple of kRoom.
  // to = one + other; any.
  void (*add)(std::int64_t count, const float* one, const float* other, float* to);
  // to += factor * from.
  void (*add_scaled)(std::int64_t count, float factor, const float* from, float* to);
  float (*dot)(std::int64_t count, const float* one, const float* other);
  // to = base * product + from.
  void (*cross)(std::int64_t count, const float* base, const float* product, const float* from, float* to);
  // Of a cross: grad_base += grad * product, and grad_product = grad * base.
  void (*uncross)(std::int64_t count, const float* base, const float* product, const float* grad, float* grad_base,
                  float* grad_product);
  // Of the first cross, which crosses rows with themselves: grad_base = later + grad + grad * product, and as above; a
  // `later` that is null is 0.
  void (*uncross_first)(std::int64_t count, const float* base, const float* product, const float* grad,
                        const float* later, float* grad_base, float* grad_product);
  // to = factor * from where `where` is positive, else 0.
  void (*gate)(std::int64_t count, float factor, const float* from, const float* where, float* to);
  // Bit j of bits[i] is whether values[8 * i + j] is not zero.
  void (*find_active)(std::int64_t count, const float* values, std::uint8_t* bits);
  // values *= factor where the random number of the key and its column is at least `threshold`, else 0.
  void (*drop)(std::int64_t count, const std::int32_t* columns, std::uint32_t key, std::uint32_t threshold,
               float factor, float* values);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
extern const Kernels kAvx512Fp16;  // products with layers of float16
#endif

// The table for the instruction set that the process uses (see shortlist::kernels). Where `name` is that of a table
// with shorter products and the processor can run it, that one.
const Kernels& kernels(std::string_view name);

}  // namespace shortlist::training
