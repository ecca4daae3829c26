"""The nearest vectors by a rough product are those of the exact one, whatever the numbers are."""

from __future__ import annotations

import numpy as np
import pytest
from device_cases import query_model
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.device import exactly_nearest

from shortlist.export.device.models import ExportedModel
from shortlist.export.device.rough_product import GIVEN, RoughProduct
from shortlist.export.device.vector_space import VectorSpace

TABLES = {
    "normal": lambda random, shape: random.normal(size=shape),
    "far from zero": lambda random, shape: random.normal(size=shape) + 50,
    "all alike but for rounding": lambda random, shape: 1 + 1e-7 * random.normal(size=shape),
    "equal rows": lambda random, shape: random.integers(-1, 2, shape),
    "one outlier": lambda random, shape: (
        random.normal(size=shape) * np.where(np.arange(shape[0]) == 1, 1e4, 1)[:, None]
    ),
    "zeros": lambda random, shape: np.zeros(shape),
}


def table(kind: str, seed: int, rows: int, dim: int, size: float = 1.0) -> np.ndarray:
    return (TABLES[kind](np.random.default_rng(seed), (rows, dim)) * size).astype(np.float32)


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(list(TABLES)),
    rows=st.integers(2, 300),
    dim=st.integers(1, 20),
    size=st.sampled_from([1e-20, 1e-3, 1.0, 1e6]),
    asked=st.sampled_from([0.0, 1e-44, 1e-25, 1.0, 1e12]),
    k=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_the_nearest_are_those_of_the_exact_products(kind, rows, dim, size, asked, k, seed):
    vectors, random = table(kind, seed, rows, dim, size), np.random.default_rng(seed + 1)
    query = (np.rint(random.normal(size=dim) * 8) * asked).astype(np.float32)
    barred = np.array([0, *random.integers(0, rows, rows // 4)])
    found = VectorSpace(vectors).nearest(query, k, barred)
    expected = exactly_nearest(vectors, query, k, set(barred.tolist()))
    assert list(zip(found.rows.tolist(), found.scores.tolist(), strict=True)) == expected


@settings(max_examples=50, deadline=None)
@given(kind=st.sampled_from(list(TABLES)), dim=st.integers(1, 70), seed=st.integers(0, 1000))
def test_what_differs_by_more_than_the_margin_is_in_the_right_order(kind, dim, seed):
    vectors = table(kind, seed, 200, dim)
    query = np.random.default_rng(seed + 1).normal(size=dim).astype(np.float32)
    rough = RoughProduct(vectors)
    products, margin = rough.read(rough.alone.run(None, {"query": query[None]}))
    exact = (vectors.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    order = 1 + np.argsort(-exact[1:], kind="stable")
    # The largest rough product from each place of the exact order on.
    later = np.maximum.accumulate(products[order][::-1])[::-1]
    assert (later - products[order] <= margin).all()


def test_few_rows_are_left_of_many():
    vectors = table("normal", 0, 20_000, 64)
    query = np.random.default_rng(1).normal(size=64).astype(np.float32)
    rough = RoughProduct(vectors)
    products, margin = rough.read(rough.alone.run(None, {"query": query[None]}))
    assert (products >= np.sort(products)[-12] - margin).sum() < 200


@pytest.mark.parametrize("code", [-1.0, 1.0])
def test_the_largest_codes_and_digits_do_not_overflow(code):
    vectors = np.full((3, 4096), code, np.float32)
    vectors[1] = -code
    found = VectorSpace(vectors).nearest(np.full(4096, 0.1, np.float32), 2, np.array([0]))
    assert found.rows.tolist() == ([2, 1] if code > 0 else [1, 2])


def test_a_model_that_it_follows_gives_what_it_gives_alone():
    vectors, weights = table("normal", 0, 50, 6), table("normal", 1, 6, 6)
    rough, feeds = (
        RoughProduct(vectors),
        {"history": vectors[None, 1:4], "history_mask": np.ones((1, 3), np.float32)},
    )
    model = ExportedModel(
        rough.after(query_model(weights)), inputs=list(feeds), outputs=["query"], more=GIVEN, where="here"
    )
    query, *given_ = model.run(feeds)
    alone = rough.alone.run(None, {"query": query})
    assert all(np.array_equal(one, other) for one, other in zip(given_, alone, strict=True))
