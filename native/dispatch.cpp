// Which table of kernels runs on this processor.
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels.hpp"

namespace shortlist {
namespace {

const Kernels* find(const std::string& name) {
  if (name == kPortable.name) return &kPortable;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
  if (avx512 && (name.empty() || name == kAvx512.name)) return &kAvx512;
  if (avx2 && (name.empty() || name == kAvx2.name)) return &kAvx2;
#endif
  if (name.empty()) return &kPortable;
  throw std::invalid_argument("this processor cannot run the instruction set '" + name +
                              "'; it can be 'portable', 'avx2' or 'avx512'");
}

std::atomic<const Kernels*> chosen{nullptr};

}  // namespace

const Kernels& kernels() {
  const Kernels* table = chosen.load(std::memory_order_acquire);
  if (table == nullptr) {
    const char* wanted = std::getenv("SHORTLIST_SIMD");
    table = find(wanted == nullptr ? "" : wanted);
    chosen.store(table, std::memory_order_release);
  }
  return *table;
}

void use_kernels(const std::string& name) { chosen.store(find(name), std::memory_order_release); }

}  // namespace shortlist
