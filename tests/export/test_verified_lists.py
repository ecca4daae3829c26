"""The lists that an export is verified by: the best of each row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shortlist.export.verify import COMPARED, _best

SCORES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 3), st.integers(0, 30)),
    elements=st.sampled_from([-np.inf, -2.0, -1.0, 0.0, 0.5, 3.0]),
)


@given(SCORES)
def test_the_best_are_those_of_a_stable_sort_and_nothing_has_no_place(scores):
    order = np.argsort(-scores, axis=1, kind="stable")[:, :COMPARED]
    expected = np.where(np.isfinite(np.take_along_axis(scores, order, 1)), order, -1)
    assert np.array_equal(_best(scores), expected)
