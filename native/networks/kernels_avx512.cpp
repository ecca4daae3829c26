// The kernels of networks for AVX-512.
#if defined(__x86_64__)
#define LANES 16
#define SIMD __attribute__((target("avx512f,avx512bw,avx512dq,avx2,fma")))
#include "kernels.inl"

namespace shortlist::networks {

const Kernels kAvx512 = {"avx512", linear, hidden, cross, output};

}  // namespace shortlist::networks
#endif
