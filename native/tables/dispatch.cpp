// The functions that match the instruction set of the process.
#include <string_view>

#include "../kernels.hpp"
#include "rows.hpp"

namespace shortlist::tables {

const RowKernels& row_kernels() {
#if defined(__x86_64__)
  const std::string_view name = shortlist::kernels().name;
  if (name == shortlist::kAvx512.name) return kAvx512;
  if (name == shortlist::kAvx2.name) return kAvx2;
#endif
  return kPortable;
}

}  // namespace shortlist::tables
