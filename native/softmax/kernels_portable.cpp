// The kernels of the fused softmax for any processor: four floats at a time.
#define LANES 4
#define WIDE false
#define SIMD
#include "kernels.inl"

namespace shortlist::softmax {

const Kernels kPortable = {"portable", LANES, kPanel, scores, exponentials, gradients};

}  // namespace shortlist::softmax
