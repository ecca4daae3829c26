// The share of small networks in the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>

namespace shortlist::networks {

void bind(nanobind::module_& m);

}  // namespace shortlist::networks
