// The kernels of the fused softmax for any processor: four floats at a time.
#define LANES 4
#define WIDE false
#define SIMD
#include "kernels.inl"

namespace shortlist::softmax {

const Kernels kPortable = {"portable",  LANES,  kPanel,       pack_candidates, pack_rows,
                        pack_rows, scores, exponentials, gradients,       column_sums};

}  // namespace shortlist::softmax
