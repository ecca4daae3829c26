// The steps of table rows for AVX2.
#if defined(__x86_64__)
#define SIMD __attribute__((target("avx2,fma")))
#include "rows.inl"

namespace shortlist::tables {

const RowKernels kAvx2 = {add, sgd, adagrad, rowwise_adagrad, adam, add_scaled<float>, add_scaled<Bfloat16>,
    dot<float>, dot<Bfloat16>, widen, narrow};

}  // namespace shortlist::tables
#endif
