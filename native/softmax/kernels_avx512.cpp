// The kernels of the fused softmax for AVX-512.
#if defined(__x86_64__)
#define LANES 16
#define WIDE true
#define SIMD __attribute__((target("avx512f,avx512bw,avx512dq,avx2,fma")))
#include "kernels.inl"

namespace shortlist::softmax {

const Kernels kAvx512 = {"avx512",  LANES,  kPanel,       pack_candidates, pack_rows,
                        pack_rows, scores, exponentials, gradients,       column_sums};

}  // namespace shortlist::softmax
#endif
