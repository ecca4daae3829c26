#include "bindings.hpp"

#include <nanobind/stl/string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstdint>
#include <string>

#include "../arrays.hpp"
#include "update.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::tables {
namespace {

Rule::Kind kind_of(const std::string& name) {
  if (name == "sgd") return Rule::Kind::kSgd;
  if (name == "adagrad") return Rule::Kind::kAdagrad;
  if (name == "rowwise_adagrad") return Rule::Kind::kRowwiseAdagrad;
  require(name == "adam", "no rule has that name");
  return Rule::Kind::kAdam;
}

void update_rows(Array<float, 2> weight, Array<float, 2> first, Array<float, 2> second, const std::string& rule,
                 float learning_rate, float eps, float beta1, float beta2, float correction1, float correction2,
                 Array<const std::int64_t, 1> ids, Array<const float, 2> gradients, int threads) {
  const Rule chosen{kind_of(rule), learning_rate, eps, beta1, beta2, correction1, correction2};
  const std::size_t rows = weight.shape(0), dim = weight.shape(1), count = ids.shape(0);
  const bool stateless = chosen.kind == Rule::Kind::kSgd, adam = chosen.kind == Rule::Kind::kAdam;
  const std::size_t width = chosen.kind == Rule::Kind::kRowwiseAdagrad ? 1 : dim;
  require(rows < (std::size_t{1} << 32) && count < (std::size_t{1} << 32), "rows and ids must fit 32 bits");
  require(gradients.shape(0) == count && gradients.shape(1) == dim, "gradients must be [ids, dim]");
  require(first.is_valid() != stateless && second.is_valid() == adam, "the state does not fit the rule");
  require(stateless || (first.shape(0) == rows && first.shape(1) == width), "the state must be [rows, width]");
  require(!adam || (second.shape(0) == rows && second.shape(1) == dim), "the second state must be [rows, dim]");
  for (std::size_t i = 0; i < count; ++i)
    require(ids.data()[i] >= 0 && ids.data()[i] < static_cast<std::int64_t>(rows), "an id is no row of the table");
  const Table table{weight.data(), data_or_null(first), data_or_null(second), static_cast<std::int64_t>(rows),
                    static_cast<std::int64_t>(dim)};
  nb::gil_scoped_release unlocked;
  update(table, chosen, ids.data(), gradients.data(), static_cast<std::int64_t>(count), threads);
}

// Asks the system for large pages, so that a random row costs no walk through the table of pages. Where there are
// none nothing happens.
void advise_huge_pages(std::uintptr_t address, std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = 4096;
  const std::uintptr_t begin = (address + kPage - 1) / kPage * kPage, end = (address + bytes) / kPage * kPage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  static_cast<void>(address), static_cast<void>(bytes);
#endif
}

}  // namespace

void bind(nb::module_& m) {
  m.def("update_rows", &update_rows, "weight"_a.noconvert(), "first"_a.noconvert().none(),
        "second"_a.noconvert().none(), "rule"_a, "learning_rate"_a, "eps"_a, "beta1"_a, "beta2"_a, "correction1"_a,
        "correction2"_a, "ids"_a.noconvert(), "gradients"_a.noconvert(), "threads"_a);
  m.def("advise_huge_pages", &advise_huge_pages, "address"_a, "bytes"_a);
}

}  // namespace shortlist::tables
