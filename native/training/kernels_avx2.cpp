// The kernels of training for AVX2.
#if defined(__x86_64__)
#define LANES 8
#define SIMD __attribute__((target("avx2,fma")))
#include "kernels.inl"

namespace shortlist::training {

const Kernels kAvx2 = TABLE("avx2");

}  // namespace shortlist::training
#endif
