// The table that matches the instruction set of the process.
#include <string_view>

#include "../kernels.hpp"
#include "kernels.hpp"

namespace shortlist::training {

const Kernels& kernels() {
#if defined(__x86_64__)
  const std::string_view name = shortlist::kernels().name;
  if (name == kAvx512.name) return kAvx512;
  if (name == kAvx2.name) return kAvx2;
#endif
  return kPortable;
}

}  // namespace shortlist::training
