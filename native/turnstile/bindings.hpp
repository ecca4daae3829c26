// The turnstile's share of the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>

namespace shortlist::turnstile {

void bind(nanobind::module_& m);

}  // namespace shortlist::turnstile
