// Arrays as they cross the border to Python.
#pragma once

#include <nanobind/ndarray.h>

#include <stdexcept>

namespace shortlist {

template <class T, int kAxes>
using Array = nanobind::ndarray<T, nanobind::ndim<kAxes>, nanobind::c_contig, nanobind::device::cpu>;

// None arrives as an array that is not valid.
template <class AnyArray>
auto data_or_null(const AnyArray& array) {
  return array.is_valid() ? array.data() : nullptr;
}

inline void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace shortlist
