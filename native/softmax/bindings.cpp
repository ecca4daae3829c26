#include "bindings.hpp"

#include <nanobind/stl/string.h>

#include <string>

#include "../arrays.hpp"
#include "kernels.hpp"
#include "softmax.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::softmax {
namespace {

using Floats = Array<const float, 1>;
using Places = Array<const std::int64_t, 1>;

void require_places(const Places& places, std::int64_t limit, const char* what) {
  for (std::size_t i = 0; i < places.shape(0); ++i) require(places.data()[i] >= 0 && places.data()[i] < limit, what);
}

void run(Array<const float, 2> queries, Array<const float, 2> candidates, Places positives, Floats bias,
         Floats own_bias, float masked_score, Array<const bool, 2> mask, Places by_id, Places run_begins,
         Places run_ends, Floats weights, const std::string& products, int threads, Array<float, 1> out, Array<float, 2> grad_queries,
         Array<float, 2> grad_candidates, Array<float, 1> grad_bias, Array<float, 1> grad_own_bias) {
  const std::size_t batch = queries.shape(0), count = candidates.shape(0), dim = queries.shape(1);
  require(dim >= 1 && candidates.shape(1) == dim && count >= 1, "candidates are as wide as the queries");
  require(positives.shape(0) == batch && out.shape(0) == batch, "positives and losses must be [batch]");
  require_places(positives, static_cast<std::int64_t>(count), "a positive is no candidate");
  require(!bias.is_valid() || bias.shape(0) == count, "bias must be [count]");
  require(!own_bias.is_valid() || own_bias.shape(0) == batch, "own_bias must be [batch]");
  require(!mask.is_valid() || (mask.shape(0) == batch && mask.shape(1) == count), "mask must be [batch, count]");
  require(by_id.is_valid() == run_begins.is_valid() && by_id.is_valid() == run_ends.is_valid(), "runs come together");
  if (by_id.is_valid()) {
    require(by_id.shape(0) == count && run_begins.shape(0) == batch && run_ends.shape(0) == batch,
            "by_id must be [count], its runs [batch]");
    require_places(by_id, static_cast<std::int64_t>(count), "by_id names no candidate");
    require_places(run_begins, static_cast<std::int64_t>(count) + 1, "a run begins beyond the candidates");
    require_places(run_ends, static_cast<std::int64_t>(count) + 1, "a run ends beyond the candidates");
  }
  require(weights.is_valid() == grad_queries.is_valid() && weights.is_valid() == grad_candidates.is_valid(),
          "weights and gradients come together");
  require(weights.is_valid() || (!grad_bias.is_valid() && !grad_own_bias.is_valid()), "gradients need weights");
  Problem problem{queries.data(),
                  candidates.data(),
                  static_cast<std::int64_t>(batch),
                  static_cast<std::int64_t>(count),
                  static_cast<std::int64_t>(dim),
                  positives.data(),
                  data_or_null(bias),
                  data_or_null(own_bias),
                  masked_score,
                  data_or_null(mask),
                  data_or_null(by_id),
                  data_or_null(run_begins),
                  data_or_null(run_ends)};
  if (!weights.is_valid()) {
    nb::gil_scoped_release unlocked;
    losses(problem, products, threads, out.data());
    return;
  }
  require(weights.shape(0) == batch && grad_queries.shape(0) == batch && grad_queries.shape(1) == dim &&
              grad_candidates.shape(0) == count && grad_candidates.shape(1) == dim,
          "weights must be [batch], gradients as what they are of");
  require(!grad_bias.is_valid() || grad_bias.shape(0) == count, "grad_bias must be [count]");
  require(!grad_own_bias.is_valid() || grad_own_bias.shape(0) == batch, "grad_own_bias must be [batch]");
  const Gradients gradients{grad_queries.data(), grad_candidates.data(), data_or_null(grad_bias),
                            data_or_null(grad_own_bias)};
  nb::gil_scoped_release unlocked;
  losses_and_gradients(problem, weights.data(), products, threads, out.data(), gradients);
}

}  // namespace

void bind(nb::module_& m) {
  m.def("fastest_short_products", &fastest_short_products);
  m.def("softmax_loss", &run, "queries"_a.noconvert(), "candidates"_a.noconvert(), "positives"_a.noconvert(),
        "bias"_a.noconvert().none(), "own_bias"_a.noconvert().none(), "masked_score"_a, "mask"_a.noconvert().none(),
        "by_id"_a.noconvert().none(), "run_begins"_a.noconvert().none(), "run_ends"_a.noconvert().none(),
        "weights"_a.noconvert().none(), "products"_a, "threads"_a, "losses"_a.noconvert(), "grad_queries"_a.noconvert().none(),
        "grad_candidates"_a.noconvert().none(), "grad_bias"_a.noconvert().none(),
        "grad_own_bias"_a.noconvert().none());
}

}  // namespace shortlist::softmax
