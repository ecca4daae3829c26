// The table that matches the instruction set of the process.
#include "../kernels.hpp"
#include "kernels.hpp"

namespace shortlist::softmax {

const Kernels& kernels(std::string_view name) {
#if defined(__x86_64__)
  const std::string_view in_use = shortlist::kernels().name;
  if (in_use == kAvx512.name) {
    if (name == kAvx512Bf16.name && __builtin_cpu_supports("avx512bf16")) return kAvx512Bf16;
    if (name == kAvx512Fp16.name && __builtin_cpu_supports("avx512fp16")) return kAvx512Fp16;
    return kAvx512;
  }
  if (in_use == kAvx2.name) return kAvx2;
#endif
  (void)name;
  return kPortable;
}

const char* fastest_short_products() {
#if defined(__x86_64__)
  // AMD's cores multiply bfloat16 at twice the rate of float32, Intel's at half of it, but float16 at twice.
  const Kernels& half = kernels(kAvx512Fp16.name);
  if (&half == &kAvx512Fp16) return half.name;
  const Kernels& brain = kernels(kAvx512Bf16.name);
  if (&brain == &kAvx512Bf16 && __builtin_cpu_is("amd")) return brain.name;
#endif
  return "";
}

}  // namespace shortlist::softmax
