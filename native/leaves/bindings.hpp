// The approximate index's share of the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>

namespace shortlist::leaves {

void bind(nanobind::module_& m);

}  // namespace shortlist::leaves
