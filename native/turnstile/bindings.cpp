#include "bindings.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include "../arrays.hpp"
#include "turnstile.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace shortlist::turnstile {
namespace {

std::string_view view(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

std::string text(const nb::bytes& bytes) { return std::string(view(bytes)); }

nb::tuple turn(Turnstile& turnstile, std::int64_t room, std::int64_t most, const nb::bytes& headers) {
  require(most >= 1 && most <= 1 << 16, "a turn reads of 1 to 65536 connections");
  Turn done;
  {
    nb::gil_scoped_release unlocked;
    done = turnstile.turn(room, most, view(headers));
  }
  nb::list handed;
  for (const Handed& each : done.handed)
    handed.append(nb::make_tuple(each.socket, nb::bytes(each.bytes.data(), each.bytes.size()), each.unsent));
  return nb::make_tuple(done.refused, handed);
}

nb::object request_id(const nb::bytes& bytes, const nb::bytes& first_line) {
  const auto found = plain_request(view(bytes), view(first_line));
  if (!found) return nb::none();
  return nb::bytes(found->id.data(), found->id.size());
}

}  // namespace

void bind(nb::module_& m) {
  m.def("plain_request_id", &request_id, "bytes"_a, "first_line"_a);
  nb::class_<Turnstile>(m, "Turnstile")
      .def(
          "__init__",
          [](Turnstile* made, const nb::bytes& first_line, const nb::bytes& before, const nb::bytes& between,
             const nb::bytes& after, std::int64_t length) {
            new (made) Turnstile(text(first_line), Answer{text(before), text(between), text(after), length});
          },
          "first_line"_a, "before"_a, "between"_a, "after"_a, "length"_a)
      .def("fileno", &Turnstile::waits_on)
      .def("add", &Turnstile::add, "socket"_a)
      .def("remove", &Turnstile::remove, "socket"_a)
      .def("turn", &turn, "room"_a, "most"_a, "headers"_a);
}

}  // namespace shortlist::turnstile
