#include "bindings.hpp"
#include "codes.hpp"
#include "train.hpp"
#include "views.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::leaves {
namespace {

template <class AnyArray>
void require_below(const AnyArray& array, std::int64_t limit, const char* what) {
  for (std::size_t i = 0; i < array.shape(0); ++i)
    require(array.data()[i] >= 0 && static_cast<std::int64_t>(array.data()[i]) < limit, what);
}

Rows rows_of(const Array<const float, 2>& rows, const Array<const float, 1>& origin,
             const Array<const float, 3>& mirrors = {}) {
  const auto dim = static_cast<std::int64_t>(rows.shape(1));
  require(dim >= 1 && dim <= kMaxDim, "a row has 1 to 16384 values");
  require(origin.shape(0) == rows.shape(1), "origin must be [dim]");
  return {rows.data(), dim, frame_of(origin, mirrors)};
}

}  // namespace

void bind_build(nb::module_& m) {
  m.def(
      "leaf_pack",
      [](Array<const float, 2> rows, Array<const float, 1> origin, Array<const float, 3> mirrors,
         Array<const std::uint32_t, 1> order, int threads, Array<std::uint8_t, 3> codes, Array<std::uint8_t, 2> rest,
         Array<float, 1> scale) {
        const Rows relative = rows_of(rows, origin, mirrors);
        const auto places = static_cast<std::int64_t>(order.shape(0));
        require(places % kBlock == 0, "order must be [blocks * 16]");
        require(codes.shape(0) * kBlock == order.shape(0) && scale.shape(0) == order.shape(0),
                "codes must be [blocks, stride / 4, 64] and scale [blocks * 16]");
        require_widths(codes, rest, code_stride(relative.dim));
        for (std::size_t i = 0; i < order.shape(0); ++i)
          require(order.data()[i] == kNoRow || order.data()[i] < rows.shape(0), "order names a row that is not there");
        nb::gil_scoped_release unlocked;
        pack(relative, order.data(), places, threads,
             {codes.data(), static_cast<std::int64_t>(codes.shape(1)) * 4, data_or_null(rest),
              rest.is_valid() ? static_cast<std::int64_t>(rest.shape(1)) : 0, scale.data()});
      },
      "rows"_a.noconvert(), "origin"_a.noconvert(), "mirrors"_a.noconvert().none(), "order"_a.noconvert(), "threads"_a,
      "codes"_a.noconvert(), "rest"_a.noconvert().none(), "scale"_a.noconvert());

  m.def(
      "leaf_train",
      [](Array<const float, 2> rows, Array<const float, 1> origin, Array<const std::uint32_t, 1> members,
         int iterations, std::uint64_t seed, int threads, Array<float, 2> centroids, Array<std::uint32_t, 1> leaf_of) {
        const Rows relative = rows_of(rows, origin);
        const auto leaves = static_cast<std::int64_t>(centroids.shape(0));
        require(centroids.shape(1) == rows.shape(1), "centroids are as wide as the rows");
        require(leaves >= 1 && centroids.shape(0) <= members.shape(0), "1 to as many leaves as members");
        require(leaf_of.shape(0) == members.shape(0), "leaf_of must be [members]");
        require_below(members, static_cast<std::int64_t>(rows.shape(0)), "members name a row that is not there");
        nb::gil_scoped_release unlocked;
        train(relative,
              {members.data(), static_cast<std::int64_t>(members.shape(0)), leaves, centroids.data(), leaf_of.data()},
              iterations, seed, threads);
      },
      "rows"_a.noconvert(), "origin"_a.noconvert(), "members"_a.noconvert(), "iterations"_a, "seed"_a,
      "threads"_a, "centroids"_a.noconvert(), "leaf_of"_a.noconvert());

  m.def(
      "leaf_assign",
      [](Array<const float, 2> rows, Array<const float, 1> origin, Array<const std::uint32_t, 1> members,
         Array<const float, 2> centroids, int threads, Array<std::uint32_t, 1> leaf_of) {
        const Rows relative = rows_of(rows, origin);
        const auto leaves = static_cast<std::int64_t>(centroids.shape(0));
        require(centroids.shape(1) == rows.shape(1), "centroids are as wide as the rows");
        require(leaves >= 1 && leaf_of.shape(0) == members.shape(0), "leaf_of must be [members]");
        require_below(members, static_cast<std::int64_t>(rows.shape(0)), "members name a row that is not there");
        nb::gil_scoped_release unlocked;
        assign(relative, members.data(), static_cast<std::int64_t>(members.shape(0)), centroids.data(), leaves, threads,
               leaf_of.data());
      },
      "rows"_a.noconvert(), "origin"_a.noconvert(), "members"_a.noconvert(), "centroids"_a.noconvert(), "threads"_a,
      "leaf_of"_a.noconvert());
}

}  // namespace shortlist::leaves
