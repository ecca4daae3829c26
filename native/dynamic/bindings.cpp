#include "bindings.hpp"

#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../arrays.hpp"
#include "lookup.hpp"
#include "table.hpp"
#include "xxhash.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::dynamic {
namespace {

using Ids = Array<const std::int64_t, 1>;
using Matrix = Array<const float, 2>;

Kind kind_of(const std::string& name) {
  if (name == "sgd") return Kind::kSgd;
  if (name == "adagrad") return Kind::kAdagrad;
  if (name == "rowwise_adagrad") return Kind::kRowwiseAdagrad;
  require(name == "adam", "no rule has that name");
  return Kind::kAdam;
}

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kSgd: return "sgd";
    case Kind::kAdagrad: return "adagrad";
    case Kind::kRowwiseAdagrad: return "rowwise_adagrad";
    case Kind::kAdam: return "adam";
  }
  return "";
}

std::int64_t rows_of(std::size_t length) { return static_cast<std::int64_t>(length); }

std::int64_t state_width_of(const Table& table) {
  const StateWidth state = table.storage().width();
  return state.first + state.second;
}

void look_up(Table& table, Ids ids, bool training, int threads, Array<float, 2> out) {
  require(out.shape(0) == ids.shape(0) && rows_of(out.shape(1)) == table.options().dim, "out must be [ids, dim]");
  nb::gil_scoped_release unlocked;
  table.look_up(ids.data(), rows_of(ids.shape(0)), training, threads, out.data());
}

void step(Table& table, const std::string& rule, float learning_rate, float eps, float beta1, float beta2,
          float correction1, float correction2, float initial, Ids ids, Matrix gradients, int threads) {
  require(gradients.shape(0) == ids.shape(0) && rows_of(gradients.shape(1)) == table.options().dim,
          "gradients must be [ids, dim]");
  const tables::Rule chosen{kind_of(rule), learning_rate, eps, beta1, beta2, correction1, correction2};
  nb::gil_scoped_release unlocked;
  table.step(chosen, initial, ids.data(), gradients.data(), rows_of(ids.shape(0)), threads);
}

std::int64_t remove(Table& table, Ids ids) {
  nb::gil_scoped_release unlocked;
  return table.remove(ids.data(), rows_of(ids.shape(0)));
}

nb::ndarray<nb::numpy, std::int64_t, nb::ndim<1>> rows(const Table& table, bool only_changed) {
  auto found = std::make_unique<std::vector<std::int64_t>>();
  {
    nb::gil_scoped_release unlocked;
    *found = table.rows(only_changed);
  }
  std::vector<std::int64_t>* kept = found.release();
  nb::capsule owner(kept, [](void* each) noexcept { delete static_cast<std::vector<std::int64_t>*>(each); });
  return {kept->data(), {kept->size()}, owner};
}

std::vector<std::int64_t> checked(Table& table, const Ids& rows) {
  const std::vector<std::int64_t> chosen(rows.data(), rows.data() + rows.shape(0));
  for (const std::int64_t row : chosen) require(table.is_row(row), "there is no such row");
  return chosen;
}

void copy_facts(Table& table, Ids rows, Array<std::int64_t, 1> ids, Array<std::int64_t, 1> counts,
                Array<std::int64_t, 1> last_seen) {
  const std::size_t count = rows.shape(0);
  require(ids.shape(0) == count && counts.shape(0) == count && last_seen.shape(0) == count, "one entry for each row");
  const std::vector<std::int64_t> chosen = checked(table, rows);
  nb::gil_scoped_release unlocked;
  table.copy_facts(chosen, ids.data(), counts.data(), last_seen.data());
}

void require_widths(Table& table, std::size_t count, std::size_t weight_rows, std::size_t dim, std::size_t state_rows,
                    std::size_t width) {
  require(weight_rows == count && rows_of(dim) == table.options().dim, "weights must be [rows, dim]");
  require(state_rows == count && rows_of(width) == state_width_of(table), "state must be [rows, width]");
}

void copy_numbers(Table& table, Ids rows, int threads, Array<float, 2> weights, Array<float, 2> state) {
  require_widths(table, rows.shape(0), weights.shape(0), weights.shape(1), state.shape(0), state.shape(1));
  const std::vector<std::int64_t> chosen = checked(table, rows);
  nb::gil_scoped_release unlocked;
  table.copy_numbers(chosen, weights.data(), state.data(), threads);
}

void copy_in(Table& table, Ids ids, Matrix weights, Matrix state, Ids counts, Ids last_seen) {
  const std::size_t count = ids.shape(0);
  require(counts.shape(0) == count && last_seen.shape(0) == count, "one entry for each row");
  require_widths(table, count, weights.shape(0), weights.shape(1), state.shape(0), state.shape(1));
  const Records from{ids.data(), weights.data(), state.data(), counts.data(), last_seen.data()};
  nb::gil_scoped_release unlocked;
  table.copy_in(from, rows_of(count));
}

void copy_in_shared(Table& table, Matrix weights, Matrix state) {
  const auto count = static_cast<std::size_t>(table.options().shared_rows);
  require_widths(table, count, weights.shape(0), weights.shape(1), state.shape(0), state.shape(1));
  nb::gil_scoped_release unlocked;
  table.copy_in_shared(weights.data(), state.data());
}

// Ids that wait for admission and their sightings, into arrays of `waiting` entries.
void copy_waiting(Table& table, Array<std::int64_t, 1> ids, Array<std::int64_t, 1> counts) {
  const IdMap& exact = table.admission().exact();
  require(rows_of(ids.shape(0)) == exact.size() && rows_of(counts.shape(0)) == exact.size(), "one entry for each id");
  std::int64_t at = 0;
  exact.each([&](std::int64_t id, std::uint32_t count) {
    ids.data()[at] = id;
    counts.data()[at++] = count;
  });
}

void set_waiting(Table& table, Ids ids, Ids counts) {
  require(ids.shape(0) == counts.shape(0), "one count for each id");
  IdMap& exact = table.admission().exact();
  exact = IdMap();
  for (std::size_t i = 0; i < ids.shape(0); ++i)
    exact.set(ids.data()[i], static_cast<std::uint32_t>(std::clamp<std::int64_t>(counts.data()[i], 0, kMostSightings)));
}

using Buckets = Array<std::int64_t, 2>;

static_assert(sizeof(Bucket) == 2 * sizeof(std::int64_t));

bool is_table(std::size_t buckets, std::size_t width) {
  return buckets > 0 && (buckets & (buckets - 1)) == 0 && width == 2;
}

void enter_lookup(Ids ids, Buckets buckets) {
  require(is_table(buckets.shape(0), buckets.shape(1)) && buckets.shape(0) > ids.shape(0),
          "buckets must be [a power of two above the number of ids, 2]");
  require(enter_ids(ids.data(), rows_of(ids.shape(0)), reinterpret_cast<Bucket*>(buckets.data()),
                    rows_of(buckets.shape(0))),
          "an id repeats");
}

void read_lookup(Array<const std::int64_t, 2> buckets, Matrix rows, Matrix shared, std::uint64_t seed, Ids ids,
                 int threads, Array<float, 2> out) {
  require(is_table(buckets.shape(0), buckets.shape(1)), "buckets must be [a power of two, 2]");
  require(shared.shape(1) == rows.shape(1) && out.shape(1) == rows.shape(1), "rows are as wide as each other");
  require(out.shape(0) == ids.shape(0), "out must be [ids, dim]");
  const Lookup table{reinterpret_cast<const Bucket*>(buckets.data()), rows_of(buckets.shape(0)), rows.data(),
                     rows_of(rows.shape(0)), shared.data(), rows_of(shared.shape(0)), rows_of(rows.shape(1)), seed};
  nb::gil_scoped_release unlocked;
  read(table, ids.data(), rows_of(ids.shape(0)), threads, out.data());
}

void hash_strings(Array<const std::uint8_t, 1> bytes, Ids offsets, Array<std::int64_t, 1> ids) {
  require(offsets.shape(0) == ids.shape(0) + 1, "offsets must be [ids + 1]");
  const std::int64_t* at = offsets.data();
  for (std::size_t i = 0; i < ids.shape(0); ++i)
    require(at[i] >= 0 && at[i] <= at[i + 1] && at[i + 1] <= rows_of(bytes.shape(0)), "offsets are out of order");
  nb::gil_scoped_release unlocked;
  for (std::size_t i = 0; i < ids.shape(0); ++i)
    ids.data()[i] = static_cast<std::int64_t>(xxh64(bytes.data() + at[i], static_cast<std::size_t>(at[i + 1] - at[i])));
}

}  // namespace

void bind(nb::module_& m) {
  nb::class_<Table>(m, "DynamicTable")
      .def(
          "__init__",
          [](Table* place, std::int64_t dim, std::uint64_t seed, float scale, std::int64_t shared_rows,
             std::int64_t admit_after, std::int64_t sketch_bytes, std::int64_t memory_bytes,
             const std::string& folder) {
            require(dim >= 1 && dim <= 65536 && shared_rows >= 0 && shared_rows < kMostRows && sketch_bytes >= 0 &&
                        memory_bytes >= 0,
                    "a size is out of range");
            new (place) Table(Options{dim, seed, scale, shared_rows, admit_after, sketch_bytes, memory_bytes, folder});
          },
          "dim"_a, "seed"_a, "scale"_a, "shared_rows"_a, "admit_after"_a, "sketch_bytes"_a,
          "memory_bytes"_a, "folder"_a)
      .def("look_up", &look_up, "ids"_a.noconvert(), "training"_a, "threads"_a, "out"_a.noconvert())
      .def("step", &step, "rule"_a, "learning_rate"_a, "eps"_a, "beta1"_a, "beta2"_a, "correction1"_a, "correction2"_a,
           "initial"_a, "ids"_a.noconvert(), "gradients"_a.noconvert(), "threads"_a)
      .def("remove", &remove, "ids"_a.noconvert())
      .def("rows", &rows, "only_changed"_a)
      .def("copy_facts", &copy_facts, "rows"_a.noconvert(), "ids"_a.noconvert(), "counts"_a.noconvert(),
           "last_seen"_a.noconvert())
      .def("copy_numbers", &copy_numbers, "rows"_a.noconvert(), "threads"_a, "weights"_a.noconvert(),
           "state"_a.noconvert())
      .def("copy_in", &copy_in, "ids"_a.noconvert(), "weights"_a.noconvert(), "state"_a.noconvert(),
           "counts"_a.noconvert(), "last_seen"_a.noconvert())
      .def("copy_in_shared", &copy_in_shared, "weights"_a.noconvert(), "state"_a.noconvert())
      .def("copy_waiting", &copy_waiting, "ids"_a.noconvert(), "counts"_a.noconvert())
      .def("set_waiting", &set_waiting, "ids"_a.noconvert(), "counts"_a.noconvert())
      .def(
          "sketch",
          [](Table& table) {
            std::vector<std::uint8_t>& sketch = table.admission().sketch();
            return nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>>(sketch.data(), {sketch.size()}, nb::find(table));
          })
      .def("settle", &Table::settle, nb::call_guard<nb::gil_scoped_release>())
      .def("drop_state", &Table::drop_state, nb::call_guard<nb::gil_scoped_release>())
      .def(
          "hold_state",
          [](Table& table, const std::string& rule, float initial) { table.hold_state(kind_of(rule), initial); },
          "rule"_a, "initial"_a)
      .def_prop_ro("rule",
                   [](Table& table) {
                     const auto kind = table.storage().kind();
                     return std::string(kind ? name_of(*kind) : "");
                   })
      .def_prop_ro("initial", [](Table& table) { return table.storage().initial(); })
      .def_prop_ro("state_width", &state_width_of)
      .def_prop_ro("waiting", [](Table& table) { return table.admission().exact().size(); })
      .def_prop_ro("size", &Table::size)
      .def_prop_ro("bytes", &Table::bytes)
      .def_prop_ro("file_bytes", &Table::file_bytes)
      .def_prop_ro("spilled", &Table::spilled)
      .def_prop_rw("clock", &Table::clock, &Table::set_clock);

  m.def("enter_lookup", &enter_lookup, "ids"_a.noconvert(), "buckets"_a.noconvert());
  m.def("read_lookup", &read_lookup, "buckets"_a.noconvert(), "rows"_a.noconvert(), "shared"_a.noconvert(), "seed"_a,
        "ids"_a.noconvert(), "threads"_a, "out"_a.noconvert());
  m.def("hash_strings", &hash_strings, "bytes"_a.noconvert(), "offsets"_a.noconvert(), "ids"_a.noconvert());
}

}  // namespace shortlist::dynamic
