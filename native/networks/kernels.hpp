// The layers of a small network over a block of rows, one table for each instruction set.
#pragma once

#include <cstdint>

namespace shortlist::networks {

constexpr int kRows = 32;          // of a block; a block that is not full holds any numbers behind its rows
constexpr std::int64_t kRoom = 16;  // widths in memory are whole multiples of it

constexpr std::int64_t padded(std::int64_t width) { return (width + kRoom - 1) / kRoom * kRoom; }

// A block is [kRows][padded width], zeros behind the width. A layer's weights are [inputs][padded outputs] and its bias
// [padded outputs] behind them, zeros behind the outputs.
struct Layer {
  std::int64_t inputs;
  std::int64_t outputs;
  const float* weights;
};

struct Kernels {
  const char* name;

  // to = from @ weights + bias.
  void (*linear)(const Layer& layer, const float* from, float* to);

  // to = relu(from @ weights + bias).
  void (*hidden)(const Layer& layer, const float* from, float* to);

  // to = base * (from @ weights + bias) + from: all three as wide.
  void (*cross)(const Layer& layer, const float* base, const float* from, float* to);

  // scores[row] = from[row] . weights + bias, for a layer of one output, whose weights are [padded inputs] and bias.
  void (*output)(const Layer& layer, const float* from, float* scores);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#endif

// The table for the instruction set that the process uses (see shortlist::kernels).
const Kernels& kernels();

}  // namespace shortlist::networks
