// The kernels over lists for AVX2.
#if defined(__x86_64__)
#define LANES 8
#define SIMD __attribute__((target("avx2,fma")))
#include "kernels.inl"

namespace shortlist::lists {

const Kernels kAvx2 = {"avx2", cross_entropy, logistic, smooth_ranks, smooth_rank_slopes};

}  // namespace shortlist::lists
#endif
