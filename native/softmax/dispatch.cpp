// The table that matches the instruction set of the process.
#include <string_view>

#include "../kernels.hpp"
#include "kernels.hpp"

namespace shortlist::softmax {

const Kernels& kernels(bool bfloat16) {
#if defined(__x86_64__)
  const std::string_view name = shortlist::kernels().name;
  if (name == kAvx512.name) return bfloat16 && __builtin_cpu_supports("avx512bf16") ? kAvx512Bf16 : kAvx512;
  if (name == kAvx2.name) return kAvx2;
#endif
  (void)bfloat16;
  return kPortable;
}

bool bfloat16_is_faster() {
#if defined(__x86_64__)
  // Intel's cores take two cycles for what others do in one: half the rate of their float32 products.
  return &kernels(true) == &kAvx512Bf16 && __builtin_cpu_is("amd");
#else
  return false;
#endif
}

}  // namespace shortlist::softmax
