// The share of training in the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>

namespace shortlist::training {

void bind(nanobind::module_& m);

}  // namespace shortlist::training
