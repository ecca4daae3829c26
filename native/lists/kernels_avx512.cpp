// The kernels over lists for AVX-512.
#if defined(__x86_64__)
#define LANES 16
#define SIMD __attribute__((target("avx512f,avx512bw,avx512dq,avx2,fma")))
#include "kernels.inl"

namespace shortlist::lists {

const Kernels kAvx512 = {"avx512", cross_entropy, logistic, smooth_ranks, smooth_rank_slopes};

}  // namespace shortlist::lists
#endif
