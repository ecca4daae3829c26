// The kernels of training for any processor: four floats at a time.
#define LANES 4
#define SIMD
#include "kernels.inl"

namespace shortlist::training {

const Kernels kPortable = TABLE("portable");

}  // namespace shortlist::training
