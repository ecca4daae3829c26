// The dynamic tables' share of the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>

namespace shortlist::dynamic {

void bind(nanobind::module_& m);

}  // namespace shortlist::dynamic
