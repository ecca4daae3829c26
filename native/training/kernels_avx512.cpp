// The kernels of training for AVX-512.
#if defined(__x86_64__)
#define LANES 16
#define SIMD __attribute__((target("avx512f,avx512bw,avx512dq,avx2,fma")))
#include "kernels.inl"

namespace shortlist::training {

const Kernels kAvx512 = TABLE("avx512");

}  // namespace shortlist::training
#endif
