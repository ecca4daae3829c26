// The steps of table rows for AVX-512.
#if defined(__x86_64__)
#define SIMD __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#include "rows.inl"

namespace shortlist::tables {

const RowKernels kAvx512 = {add, sgd, adagrad, rowwise_adagrad, adam, add_scaled<float>, add_scaled<Bfloat16>,
    dot<float>, dot<Bfloat16>, widen, narrow};

}  // namespace shortlist::tables
#endif
