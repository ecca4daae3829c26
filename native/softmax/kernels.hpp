// The inner loops of the fused softmax, one table for each instruction set.
//
// A block of queries meets all candidates: a tile of scores, [rows][width], that lives in the processor's cache.
// Its rows become exponentials in place, and the tile is multiplied twice more, into the gradients of the queries
// and of the candidates. All matrices are padded, so that no loop has a remainder.
#pragma once

#include <cstdint>

namespace shortlist::softmax {

constexpr int kRowGroup = 12;  // rows of a tile come in such groups

// A row's largest score, and the sum of its exponentials relative to it.
struct Normaliser {
  float largest;
  float sum;
};

struct Kernels {
  const char* name;
  int lanes;  // floats of a vector: widths of embeddings are padded to it
  int panel;  // candidates side by side in a panel, [dim][panel]; the tile's width is a multiple of it

  // scores[r * stride + j] = bias[j] + queries[r] . candidates[j] for whole panels; a query is `padded` floats long,
  // `dim` of which count.
  void (*scores)(const float* queries, std::int64_t rows, std::int64_t padded, std::int64_t dim, const float* panels,
                 std::int64_t width, const float* bias, float* scores, std::int64_t stride);

  // Replaces scores by their exponentials relative to the largest of them and of `at_least`.
  Normaliser (*exponentials)(float* scores, std::int64_t width, float at_least);

  // grad_queries[r] += sum over j of tile[r][j] * candidates[j], and
  // grad_candidates[j] += sum over r of tile[r][j] * queries[r]; all rows are `dim` floats, whole vectors.
  void (*gradients)(const float* tile, std::int64_t rows, std::int64_t width, std::int64_t stride,
                    const float* candidates, const float* queries, std::int64_t dim, float* grad_queries,
                    float* grad_candidates);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#endif

// The table for the instruction set that the process uses (see shortlist::kernels).
const Kernels& kernels();

}  // namespace shortlist::softmax
