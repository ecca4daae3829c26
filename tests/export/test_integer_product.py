"""A product in whole numbers: that of float32, up to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.export.device.integer_product import IntegerProduct
from shortlist.export.tables import Codes


@settings(max_examples=50)
@given(
    rows=st.integers(1, 70),
    dim=st.integers(1, 70),
    size=st.sampled_from([1e-30, 1e-3, 1.0, 1e6]),
    seed=st.integers(0, 1000),
)
def test_it_is_the_product_in_double_precision_up_to_rounding(rows, dim, size, seed):
    random = np.random.default_rng(seed)
    codes = random.integers(-127, 128, (rows, dim)).astype(np.int8)
    scales = random.random(rows).astype(np.float32)
    query = (random.normal(size=dim) * size).astype(np.float32)
    exact = (codes * scales[:, None].astype(np.float64)) @ query.astype(np.float64)
    magnitude = np.abs(codes * scales[:, None].astype(np.float64)) @ np.abs(query.astype(np.float64))
    found = IntegerProduct(Codes(codes, scales))(query)
    assert found.dtype == np.float32
    assert found.shape == (rows,)
    assert (np.abs(found - exact) <= 1e-6 * magnitude.max() + 1e-33).all()


@pytest.mark.parametrize("code", [-127, 127])
def test_the_largest_codes_and_a_query_of_one_number_do_not_overflow(code):
    table = Codes(np.full((3, 4096), code, np.int8), np.ones(3, np.float32))
    query = np.full(4096, 0.1, np.float32)
    assert np.allclose(IntegerProduct(table)(query), 4096 * code * np.float64(query[0]), rtol=1e-6)


def test_a_query_of_zeros_gives_zeros():
    table = Codes(np.ones((3, 5), np.int8), np.ones(3, np.float32))
    assert (IntegerProduct(table)(np.zeros(5, np.float32)) == 0).all()
