// The kernels of the fused softmax for AVX2.
#if defined(__x86_64__)
#define LANES 8
#define WIDE false
#define SIMD __attribute__((target("avx2,fma")))
#include "kernels.inl"

namespace shortlist::softmax {

const Kernels kAvx2 = {"avx2",  LANES,  kPanel,       pack_candidates, pack_rows,
                        pack_rows, scores, exponentials, gradients,       column_sums};

}  // namespace shortlist::softmax
#endif
