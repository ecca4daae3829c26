// The steps of table rows for any processor.
#define SIMD
#include "rows.inl"

namespace shortlist::tables {

const RowKernels kPortable = {add, sgd, adagrad, rowwise_adagrad, adam};

}  // namespace shortlist::tables
