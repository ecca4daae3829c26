// The kernels of networks for any processor: four floats at a time.
#define LANES 4
#define SIMD
#include "kernels.inl"

namespace shortlist::networks {

const Kernels kPortable = {"portable", linear, hidden, cross, output};

}  // namespace shortlist::networks
