// The kernels of networks for AVX2.
#if defined(__x86_64__)
#define LANES 8
#define SIMD __attribute__((target("avx2,fma")))
#include "kernels.inl"

namespace shortlist::networks {

const Kernels kAvx2 = {"avx2", linear, hidden, cross, output};

}  // namespace shortlist::networks
#endif
