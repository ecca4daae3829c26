// The steps of table rows for any processor.
#define SIMD
#include "rows.inl"

namespace shortlist::tables {

const RowKernels kPortable = {add, sgd, adagrad, rowwise_adagrad, adam, add_scaled<float>, add_scaled<Bfloat16>,
    dot<float>, dot<Bfloat16>, widen, narrow};

}  // namespace shortlist::tables
