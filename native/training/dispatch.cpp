// The table that matches the instruction set of the process.
#include "../kernels.hpp"
#include "kernels.hpp"

namespace shortlist::training {

const Kernels& kernels(std::string_view name) {
#if defined(__x86_64__)
  const std::string_view in_use = shortlist::kernels().name;
  if (in_use == kAvx512.name)
    return name == kAvx512Fp16.name && __builtin_cpu_supports("avx512fp16") ? kAvx512Fp16 : kAvx512;
  if (in_use == kAvx2.name) return kAvx2;
#endif
  (void)name;
  return kPortable;
}

}  // namespace shortlist::training
