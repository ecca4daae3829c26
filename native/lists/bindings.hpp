// The share of the losses over lists in the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>

namespace shortlist::lists {

void bind(nanobind::module_& m);

}  // namespace shortlist::lists
