// The inner loops of the fused softmax, one table for each instruction set and precision.
//
// A block of queries meets all candidates: a tile of scores, [rows][width], that lives in the processor's cache.
// Its rows become exponentials in place, and the tile is multiplied twice more, into the gradients of the queries
// and of the candidates. All matrices are padded, so that no loop has a remainder. Scores are logarithms to base 2,
// which saves the exponential a product.
//
// Queries and candidates are first packed as a table likes to read them. A packed matrix takes no more room than
// [rows][padded] floats, where `padded` is the width rounded up to `lanes`.
#pragma once

#include <cstdint>
#include <string_view>

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
  int panel;  // candidates side by side in a panel; the tile's width is a multiple of it

  // Packs `width` rows of `padded` floats: side by side for `scores`, and as rows for `gradients`. Those are in the
  // unit that is returned.
  float (*pack_candidates)(const float* rows, std::int64_t width, std::int64_t padded, float* panels, float* packed);
  // Packs queries for `scores`, and those times a factor for `gradients`, in the unit that is returned.
  float (*pack_queries)(const float* queries, std::int64_t rows, std::int64_t padded, float* packed);
  float (*pack_scaled)(const float* scaled, std::int64_t rows, std::int64_t padded, float* packed);

  // scores[r * stride + j] = bias[j] + queries[r] . candidates[j] for whole panels.
  void (*scores)(const float* queries, std::int64_t rows, std::int64_t padded, const float* panels,
                 std::int64_t width, const float* bias, float* scores, std::int64_t stride);

  // Replaces two rows of scores by their powers of 2 relative to the largest of them and of `largest` as it comes in.
  void (*exponentials)(float* scores, std::int64_t width, std::int64_t stride, Normaliser* found);

  // grad_queries[r] += sum over j of tile[r][j] * candidates[j], and
  // grad_candidates[j] += sum over r of tile[r][j] * queries[r]; gradients are rows of `padded` floats.
  void (*gradients)(const float* tile, std::int64_t rows, std::int64_t width, std::int64_t stride,
                    const float* candidates, float candidate_unit, const float* queries, float query_unit,
                    std::int64_t padded, float* grad_queries, float* grad_candidates);

  // sums[j] += sum over r of tile[r][j] * factors[r].
  void (*column_sums)(const float* tile, std::int64_t rows, std::int64_t width, std::int64_t stride,
                      const float* factors, float* sums);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
extern const Kernels kAvx512Bf16;  // products of bfloat16
extern const Kernels kAvx512Fp16;  // those of the gradients of float16
#endif

// The table for the instruction set that the process uses (see shortlist::kernels). Where `name` is that of a table
// with shorter products and the processor can run it, that one.
const Kernels& kernels(std::string_view name);

// The table with the fastest products of 16 bits; "" where none is faster than float32.
const char* fastest_short_products();

}  // namespace shortlist::softmax
