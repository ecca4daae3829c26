#include "bindings.hpp"

#include "../arrays.hpp"
#include "network.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::networks {
namespace {

using Floats = Array<const float, 1>;
using Matrix = Array<const float, 2>;
using Numbers = Array<const std::int64_t, 1>;

constexpr std::int64_t kWidest = 1 << 20;

// kinds[i] says what step i is, and widths[i] to widths[i + 1] what it makes of what.
Network network_of(const Numbers& kinds, const Numbers& widths, const Floats& weights) {
  const std::size_t count = kinds.shape(0);
  require(count >= 1 && widths.shape(0) == count + 1, "there must be a step, and one width more");
  for (std::size_t i = 0; i <= count; ++i)
    require(widths.data()[i] >= 1 && widths.data()[i] <= kWidest, "a width is out of range");
  Network network{widths.data()[0], {}};
  std::size_t used = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto kind = static_cast<Kind>(kinds.data()[i]);
    const std::int64_t inputs = widths.data()[i], outputs = widths.data()[i + 1];
    require(kind == Kind::kCross || kind == Kind::kHidden || kind == Kind::kOutput, "no step has that number");
    require((kind == Kind::kOutput) == (i + 1 == count), "the output is the last step");
    require(kind != Kind::kOutput || outputs == 1, "the output is one number");
    require(kind != Kind::kCross || (inputs == network.width && outputs == inputs), "a cross is as wide as a row");
    network.steps.push_back({kind, {inputs, outputs, weights.data() + used}});
    const std::int64_t size = kind == Kind::kOutput ? padded(inputs) + 1 : (inputs + 1) * padded(outputs);
    used += static_cast<std::size_t>(size);
    require(used <= weights.shape(0), "there are fewer weights than the widths ask for");
  }
  return network;
}

Rows rows_of(const Numbers& offsets, const Matrix& query, const Matrix& table, const Numbers& items,
             const Matrix& own) {
  const std::size_t bounds = offsets.shape(0), total = items.shape(0);
  require(bounds >= 1 && offsets.data()[0] == 0 && offsets.data()[bounds - 1] == static_cast<std::int64_t>(total),
          "offsets go from 0 to the number of rows");
  for (std::size_t i = 1; i < bounds; ++i) require(offsets.data()[i - 1] <= offsets.data()[i], "offsets never fall");
  require(query.shape(0) == bounds - 1, "query must be [requests, width]");
  require(own.shape(0) == total, "own must be [rows, width]");
  bool inside = true;  // a negative item is a huge one
  for (std::size_t i = 0; i < total; ++i) inside &= static_cast<std::uint64_t>(items.data()[i]) < table.shape(0);
  require(inside || table.shape(1) == 0, "an item is no row of the table");
  const auto width = [](const Matrix& matrix) { return static_cast<std::int64_t>(matrix.shape(1)); };
  return {offsets.data(), static_cast<std::int64_t>(bounds) - 1,
          query.data(),   width(query),
          table.data(),   width(table),
          items.data(),   own.data(),
          width(own)};
}

}  // namespace

void bind(nb::module_& m) {
  m.def(
      "network_scores",
      [](Numbers kinds, Numbers widths, Floats weights, Numbers offsets, Matrix query, Matrix table, Numbers items,
         Matrix own, int threads, Array<float, 1> scores) {
        const Network network = network_of(kinds, widths, weights);
        const Rows rows = rows_of(offsets, query, table, items, own);
        require(rows.query_width + rows.item_width + rows.own_width == network.width,
                "the parts of a row must be as wide as the network's input");
        require(scores.shape(0) == items.shape(0), "scores must be [rows]");
        nb::gil_scoped_release unlocked;
        score(network, rows, threads, scores.data());
      },
      "kinds"_a.noconvert(), "widths"_a.noconvert(), "weights"_a.noconvert(), "offsets"_a.noconvert(),
      "query"_a.noconvert(), "table"_a.noconvert(), "items"_a.noconvert(), "own"_a.noconvert(), "threads"_a,
      "scores"_a.noconvert());
}

}  // namespace shortlist::networks
