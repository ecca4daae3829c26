// The embedding tables' share of the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>

namespace shortlist::tables {

void bind(nanobind::module_& m);

}  // namespace shortlist::tables
