// The kernels over lists for any processor: four floats at a time.
#define LANES 4
#define SIMD
#include "kernels.inl"

namespace shortlist::lists {

const Kernels kPortable = {"portable", cross_entropy, logistic, smooth_ranks, smooth_rank_slopes};

}  // namespace shortlist::lists
