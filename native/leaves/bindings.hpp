// The approximate index's share of the module `shortlist._native`.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>

namespace shortlist::leaves {

template <class T, int kAxes>
using Array = nanobind::ndarray<T, nanobind::ndim<kAxes>, nanobind::c_contig, nanobind::device::cpu>;

template <class AnyArray>
auto data_or_null(const AnyArray& array) {
  return array.is_valid() ? array.data() : nullptr;
}

inline void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

void bind(nanobind::module_& m);
void bind_build(nanobind::module_& m);  // coding and clustering

}  // namespace shortlist::leaves
