// The fused softmax's share of the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>

namespace shortlist::softmax {

void bind(nanobind::module_& m);

}  // namespace shortlist::softmax
