#include "bindings.hpp"

#include <nanobind/stl/string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstdint>
#include <string>

#include "../arrays.hpp"
#include "noise.hpp"
#include "pool.hpp"
#include "update.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::tables {
namespace {

using Ids = Array<const std::int64_t, 1>;
using Factors = Array<const float, 1>;

Rule::Kind kind_of(const std::string& name) {
  if (name == "sgd") return Rule::Kind::kSgd;
  if (name == "adagrad") return Rule::Kind::kAdagrad;
  if (name == "rowwise_adagrad") return Rule::Kind::kRowwiseAdagrad;
  require(name == "adam", "no rule has that name");
  return Rule::Kind::kAdam;
}

void require_rows(const Ids& ids, std::size_t rows) {
  bool inside = true;  // a negative id is a huge one
  for (std::size_t i = 0; i < ids.shape(0); ++i) inside &= static_cast<std::uint64_t>(ids.data()[i]) < rows;
  require(inside, "an id is no row of the table");
}

void require_bags(const Ids& ids, const Ids& offsets, const Factors& factors) {
  const std::size_t count = offsets.shape(0);
  require(count >= 1 && offsets.data()[0] == 0 &&
              offsets.data()[count - 1] == static_cast<std::int64_t>(ids.shape(0)),
          "offsets must go from 0 to the number of ids");
  for (std::size_t i = 1; i < count; ++i)
    require(offsets.data()[i - 1] <= offsets.data()[i], "offsets must not fall");
  require(!factors.is_valid() || factors.shape(0) == ids.shape(0), "factors must be [ids]");
}

Gradients gradients_of(const Ids& ids, const Array<const float, 2>& values, const Ids& offsets, const Factors& factors,
                       std::size_t rows, std::size_t dim) {
  require(rows < (std::size_t{1} << 32) && ids.shape(0) < (std::size_t{1} << 32), "rows and ids must fit 32 bits");
  require_rows(ids, rows);
  const std::size_t sources = offsets.is_valid() ? offsets.shape(0) - 1 : ids.shape(0);
  require(values.shape(0) == sources && values.shape(1) == dim, "gradients must be [ids, dim], or [bags, dim]");
  if (offsets.is_valid()) require_bags(ids, offsets, factors);
  require(offsets.is_valid() || !factors.is_valid(), "factors come with bags");
  return {ids.data(),
          static_cast<std::int64_t>(ids.shape(0)),
          values.data(),
          data_or_null(offsets),
          offsets.is_valid() ? static_cast<std::int64_t>(sources) : 0,
          data_or_null(factors)};
}

template <class Number>
void require_state(const Array<Number, 2>& state, bool wanted, std::size_t rows, std::size_t width) {
  require(state.is_valid() == wanted, "the state does not fit the rule");
  require(!wanted || (state.shape(0) == rows && state.shape(1) == width), "the state must be [rows, width]");
}

Rule rule_of(const std::string& rule, float learning_rate, float eps, float beta1, float beta2, float correction1,
             float correction2) {
  return {kind_of(rule), learning_rate, eps, beta1, beta2, correction1, correction2};
}

void update_rows(Array<float, 2> weight, Array<float, 2> first, Array<float, 2> second, const std::string& rule,
                 float learning_rate, float eps, float beta1, float beta2, float correction1, float correction2,
                 Ids ids, Array<const float, 2> values, Ids offsets, Factors factors, int threads) {
  const Rule chosen = rule_of(rule, learning_rate, eps, beta1, beta2, correction1, correction2);
  const std::size_t rows = weight.shape(0), dim = weight.shape(1);
  const bool rowwise = chosen.kind == Rule::Kind::kRowwiseAdagrad;
  require_state(first, chosen.kind != Rule::Kind::kSgd, rows, rowwise ? 1 : dim);
  require_state(second, chosen.kind == Rule::Kind::kAdam, rows, dim);
  const Gradients gradients = gradients_of(ids, values, offsets, factors, rows, dim);
  const Table table{weight.data(), data_or_null(first), data_or_null(second), static_cast<std::int64_t>(rows),
                    static_cast<std::int64_t>(dim)};
  nb::gil_scoped_release unlocked;
  update(table, chosen, gradients, threads);
}

void update_half_rows(Array<Bfloat16, 2> weight, Array<Bfloat16, 2> first, Array<Bfloat16, 2> second,
                      Array<float, 2> accumulators, const std::string& rule, float learning_rate, float eps,
                      float beta1, float beta2, float correction1, float correction2, std::uint64_t seed,
                      std::uint64_t step, Ids ids, Array<const float, 2> values, Ids offsets, Factors factors,
                      int threads) {
  const Rule chosen = rule_of(rule, learning_rate, eps, beta1, beta2, correction1, correction2);
  const std::size_t rows = weight.shape(0), dim = weight.shape(1);
  const bool rowwise = chosen.kind == Rule::Kind::kRowwiseAdagrad;
  require_state(first, chosen.kind != Rule::Kind::kSgd && !rowwise, rows, dim);
  require_state(second, chosen.kind == Rule::Kind::kAdam, rows, dim);
  require_state(accumulators, rowwise, rows, 1);
  const Gradients gradients = gradients_of(ids, values, offsets, factors, rows, dim);
  const HalfTable table{weight.data(),
                        data_or_null(first),
                        data_or_null(second),
                        data_or_null(accumulators),
                        static_cast<std::int64_t>(rows),
                        static_cast<std::int64_t>(dim),
                        step_noise(seed, step)};
  nb::gil_scoped_release unlocked;
  update(table, chosen, gradients, threads);
}

template <class Number>
void gather_rows(Array<const Number, 2> weight, Ids ids, Array<float, 2> rows, int threads) {
  require(rows.shape(0) == ids.shape(0) && rows.shape(1) == weight.shape(1), "rows must be [ids, dim]");
  require_rows(ids, weight.shape(0));
  nb::gil_scoped_release unlocked;
  gather(weight.data(), static_cast<std::int64_t>(weight.shape(1)), ids.data(),
         static_cast<std::int64_t>(ids.shape(0)), rows.data(), threads);
}

Bags bags_of(const Ids& ids, const Ids& offsets, const Factors& factors) {
  require_bags(ids, offsets, factors);
  return {ids.data(), offsets.data(), data_or_null(factors), static_cast<std::int64_t>(offsets.shape(0)) - 1};
}

template <class Number>
void pool_rows(Array<const Number, 2> weight, Ids ids, Ids offsets, Factors factors, Array<float, 2> sums,
               int threads) {
  require_rows(ids, weight.shape(0));
  const Bags bags = bags_of(ids, offsets, factors);
  require(static_cast<std::int64_t>(sums.shape(0)) == bags.count && sums.shape(1) == weight.shape(1),
          "sums must be [bags, dim]");
  nb::gil_scoped_release unlocked;
  pool(weight.data(), static_cast<std::int64_t>(weight.shape(1)), bags, sums.data(), threads);
}

template <class Number>
void pool_factor_gradients(Array<const Number, 2> weight, Ids ids, Ids offsets, Array<const float, 2> gradients,
                           Array<float, 1> factors, int threads) {
  require_rows(ids, weight.shape(0));
  const Bags bags = bags_of(ids, offsets, {});
  require(static_cast<std::int64_t>(gradients.shape(0)) == bags.count && gradients.shape(1) == weight.shape(1),
          "gradients must be [bags, dim]");
  require(factors.shape(0) == ids.shape(0), "factors must be [ids]");
  nb::gil_scoped_release unlocked;
  factor_gradients(weight.data(), static_cast<std::int64_t>(weight.shape(1)), bags, gradients.data(), factors.data(),
                   threads);
}

void pool_mean_factors(Ids ids, Ids offsets, Array<float, 1> factors) {
  const Bags bags = bags_of(ids, offsets, {});
  require(factors.shape(0) == ids.shape(0), "factors must be [ids]");
  nb::gil_scoped_release unlocked;
  mean_factors(bags, factors.data());
}

void add_bag_means(Array<const float, 2> weight, Ids ids, Ids offsets, Factors row_scores, Factors distance_scores,
                   Array<float, 2> sums, std::int64_t column, int threads) {
  require_rows(ids, weight.shape(0));
  const Bags bags = bags_of(ids, offsets, {});
  require(row_scores.is_valid() == distance_scores.is_valid(), "scores of rows and of distances come together");
  require(!row_scores.is_valid() || row_scores.shape(0) == weight.shape(0), "row_scores must be [rows]");
  const auto distances = distance_scores.is_valid() ? static_cast<std::int64_t>(distance_scores.shape(0)) : 0;
  for (std::int64_t bag = 0; distance_scores.is_valid() && bag < bags.count; ++bag)
    require(bags.offsets[bag + 1] - bags.offsets[bag] <= distances, "a bag is longer than distance_scores");
  const auto dim = static_cast<std::int64_t>(weight.shape(1)), width = static_cast<std::int64_t>(sums.shape(1));
  require(static_cast<std::int64_t>(sums.shape(0)) == bags.count && column >= 0 && column <= width - dim,
          "sums must be [bags, width], with room for the rows from the column on");
  const Scores scores = {data_or_null(row_scores), data_or_null(distance_scores)};
  nb::gil_scoped_release unlocked;
  add_means(weight.data(), dim, bags, scores, sums.data() + column, width, threads);
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

template <class Number>
void bind_rows(nb::module_& m) {
  m.def("gather_rows", &gather_rows<Number>, "weight"_a.noconvert(), "ids"_a.noconvert(), "rows"_a.noconvert(),
        "threads"_a);
  m.def("pool_rows", &pool_rows<Number>, "weight"_a.noconvert(), "ids"_a.noconvert(), "offsets"_a.noconvert(),
        "factors"_a.noconvert().none(), "sums"_a.noconvert(), "threads"_a);
  m.def("pool_factor_gradients", &pool_factor_gradients<Number>, "weight"_a.noconvert(), "ids"_a.noconvert(),
        "offsets"_a.noconvert(), "gradients"_a.noconvert(), "factors"_a.noconvert(), "threads"_a);
}

}  // namespace

void bind(nb::module_& m) {
  m.def("update_rows", &update_rows, "weight"_a.noconvert(), "first"_a.noconvert().none(),
        "second"_a.noconvert().none(), "rule"_a, "learning_rate"_a, "eps"_a, "beta1"_a, "beta2"_a, "correction1"_a,
        "correction2"_a, "ids"_a.noconvert(), "values"_a.noconvert(), "offsets"_a.noconvert().none(),
        "factors"_a.noconvert().none(), "threads"_a);
  m.def("update_half_rows", &update_half_rows, "weight"_a.noconvert(), "first"_a.noconvert().none(),
        "second"_a.noconvert().none(), "accumulators"_a.noconvert().none(), "rule"_a, "learning_rate"_a, "eps"_a,
        "beta1"_a, "beta2"_a, "correction1"_a, "correction2"_a, "seed"_a, "step"_a, "ids"_a.noconvert(),
        "values"_a.noconvert(), "offsets"_a.noconvert().none(), "factors"_a.noconvert().none(), "threads"_a);
  bind_rows<float>(m);
  bind_rows<Bfloat16>(m);
  m.def("pool_mean_factors", &pool_mean_factors, "ids"_a.noconvert(), "offsets"_a.noconvert(),
        "factors"_a.noconvert());
  m.def("add_bag_means", &add_bag_means, "weight"_a.noconvert(), "ids"_a.noconvert(), "offsets"_a.noconvert(),
        "row_scores"_a.noconvert().none(), "distance_scores"_a.noconvert().none(), "sums"_a.noconvert(), "column"_a,
        "threads"_a);
  m.def("advise_huge_pages", &advise_huge_pages, "address"_a, "bytes"_a);
}

}  // namespace shortlist::tables
