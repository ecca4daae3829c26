// The approximate index's share of the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>
#include "../arrays.hpp"

namespace shortlist::leaves {

void bind(nanobind::module_& m);
void bind_build(nanobind::module_& m);  // coding and clustering

}  // namespace shortlist::leaves
