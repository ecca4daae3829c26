"""The approximate index given what is empty, odd, extreme or wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shortlist.errors import ConfigError, DataError, NotFittedError, ShapeError, UnknownIdError
from shortlist.index import Approximate, BruteForce

METRICS = ["dot", "cosine", "l2"]
KINDS = ["gaussian", "zero", "constant", "two values", "some zero", "long", "scales", "one outlier"]


@pytest.fixture(autouse=True)
def small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves from 100 items on, so that small indexes have some."""
    monkeypatch.setattr("shortlist.index.leaves.FLAT_ROWS", 100)
    monkeypatch.setattr("shortlist.index.joiner.FRESH_ROWS", 100)


def vectors_of(n: int, dim: int = 8, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def odd(kind: str, n: int, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    plain = rng.standard_normal((n, dim))
    if kind == "zero":
        plain *= 0
    elif kind == "constant":
        plain[:] = plain[:1]
    elif kind == "two values":
        plain = plain[rng.integers(0, min(n, 2), n)]
    elif kind == "some zero":
        plain[rng.random(n) < 0.6] = 0
    elif kind == "long":
        plain *= 9e17 / np.maximum(np.linalg.norm(plain, axis=1, keepdims=True), 1e-30)
    elif kind == "scales":
        plain *= 10.0 ** rng.uniform(-12, 12, (n, 1))
    elif kind == "one outlier":
        plain[:1] *= 1e9
    return plain.astype(np.float32)


@pytest.fixture
def index() -> Approximate:
    items = pl.DataFrame({"year": range(1700, 2000), "genre": ["a", "b", None] * 100})
    return Approximate(8).fit(np.arange(300) + 1000, vectors_of(300), items=items)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda i: i.fit([1, 1], vectors_of(2)), DataError, "id 1 comes more than once"),
        (lambda i: i.fit([1, None], vectors_of(2)), DataError, "1 ids are null"),
        (lambda i: i.fit([1.5, 2.5], vectors_of(2)), DataError, "must be strings or integers"),
        (lambda i: i.fit([1], vectors_of(2)), ShapeError, "1 ids for 2 vectors"),
        (lambda i: i.fit([1, 2], vectors_of(2, 7)), ShapeError, r"vectors must be float32 \[n, 8\]"),
        (lambda i: i.fit([1], vectors_of(1)[0]), ShapeError, r"got float32 \[8\]"),
        (lambda i: i.fit([1], np.ones((1, 8))), ShapeError, "got float64"),
        (lambda i: i.fit([1], np.ones((1, 8), np.float16)), ShapeError, "got float16"),
        (lambda i: i.fit([1, 2], np.full((2, 8), np.nan, np.float32)), DataError, "vector 0 holds a NaN"),
        (lambda i: i.fit([1], np.full((1, 8), -np.inf, np.float32)), DataError, "vector 0"),
        (lambda i: i.fit([1], np.full((1, 8), 4e17, np.float32)), DataError, r"vector 0 is 1\.13e\+18 long"),
        (lambda i: i.fit([1], np.full((1, 8), 3e38, np.float32)), DataError, "up to 1e\\+18 long"),
        (lambda i: i.fit([1], vectors_of(1), items=pl.DataFrame({"a": [1, 2]})), ShapeError, "2 items for 1"),
        (
            lambda i: i.fit([1], vectors_of(1), queries=vectors_of(5, 7)),
            ShapeError,
            "queries must be float32",
        ),
        (lambda i: i.fit([1], vectors_of(1), queries=np.ones((5, 8))), ShapeError, "queries must be float32"),
        (
            lambda i: i.fit([1], vectors_of(1), queries=np.full((5, 8), np.nan, np.float32)),
            DataError,
            "query 0",
        ),
        (lambda i: i.add([1, 1000], vectors_of(2)), DataError, "id 1000 is already in the index"),
        (lambda i: i.add([1, 1], vectors_of(2)), DataError, "id 1 comes more than once"),
        (lambda i: i.add([1], vectors_of(1)), DataError, "has an item table"),
        (lambda i: i.add([1], np.full((1, 8), 1e18, np.float32)), DataError, "vector 0 is"),
        (lambda i: i.add([1], vectors_of(1) * np.nan), DataError, "vector 0 holds a NaN"),
        (lambda i: i.add(["a"], vectors_of(1)), DataError, "the index holds integers"),
        (lambda i: i.update([1000], vectors_of(1) * np.inf), DataError, "vector 0"),
        (lambda i: i.update([1000], vectors_of(1) * 1e20), DataError, "long"),
        (lambda i: i.update([1000, 5], vectors_of(2)), UnknownIdError, r"id 5 is not in the index \(300 it"),
        (lambda i: i.remove([1000, 5, 6]), UnknownIdError, r"id 5 \(and 1 more\)"),
        (lambda i: i.remove([1000, 1000]), DataError, "id 1000 comes more than once"),
        (lambda i: i.search(vectors_of(1), 0), ConfigError, "k is 0"),
        (lambda i: i.search(vectors_of(1), -3), ConfigError, "k is -3"),
        (lambda i: i.search(vectors_of(1), 2.5), ConfigError, r"k is 2\.5"),
        (lambda i: i.search(vectors_of(1, 9), 1), ShapeError, r"queries must be float32 \[n, 8\]"),
        (lambda i: i.search(vectors_of(1).tolist(), 1), ShapeError, "got float64"),
        (lambda i: i.search(vectors_of(1)[None], 1), ShapeError, "queries must be float32"),
        (lambda i: i.search(np.full(8, np.nan, np.float32), 1), DataError, "query 0"),
        (lambda i: i.search(np.full((2, 8), np.inf, np.float32), 1), DataError, "query 0"),
        (lambda i: i.search(vectors_of(2), 1, exclude=[[1]]), ShapeError, "1 lists for 2 queries"),
        (lambda i: i.search(vectors_of(1), 1, exclude=[["a"]]), DataError, "the index holds integers"),
        (lambda i: i.search(vectors_of(1), 1, where=np.ones(299, bool)), ShapeError, r"bool \[300\]"),
        (lambda i: i.search(vectors_of(1), 1, where=np.ones(300)), ShapeError, "got float64"),
        (lambda i: i.search(vectors_of(1), 1, where=pl.col("price") > 3), ConfigError, "price"),
        (lambda i: i.search(vectors_of(1), 1, where=pl.col("year") + 1), ConfigError, "Int64"),
        (lambda i: i.search(vectors_of(1), 1, effort=0), ConfigError, "effort is 0"),
        (lambda i: i.search(vectors_of(1), 1, effort=-5), ConfigError, "effort is -5"),
        (lambda i: i.search(vectors_of(1), 1, effort=float("nan")), ConfigError, "effort is nan"),
        (lambda i: i.search(vectors_of(1), 1, effort=True), ConfigError, "effort is True"),
        (lambda i: i.search(vectors_of(1), 1, effort="much"), ConfigError, "effort is 'much'"),
        (lambda i: Approximate(0), ConfigError, "dim is 0"),
        (lambda i: Approximate(16_385), ConfigError, "dim is 16385"),
        (lambda i: Approximate(8, metric="cosin"), ConfigError, "did you mean 'cosine'"),
        (lambda i: Approximate(8, recall=0), ConfigError, "recall is 0"),
        (lambda i: Approximate(8, recall=-0.5), ConfigError, r"recall is -0\.5"),
        (lambda i: Approximate(8, recall=1.01), ConfigError, r"recall is 1\.01"),
        (lambda i: Approximate(8, recall=95), ConfigError, "recall is 95"),
        (lambda i: Approximate(8, recall=float("nan")), ConfigError, "recall is nan"),
        (lambda i: Approximate(8, seed=-1), ConfigError, "seed is -1"),
        (lambda i: Approximate(8, seed=2**64), ConfigError, "seed is 18446744073709551616"),
        (lambda i: Approximate(8).search(vectors_of(1), 1), NotFittedError, "fit"),
        (lambda i: Approximate(8).memory(), NotFittedError, "fit"),
        (lambda i: Approximate(8).remove([1]), NotFittedError, "fit"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_changes_nothing(
    index: Approximate, change: Any, error: type[Exception], words: str
) -> None:
    before = index.search(vectors_of(3), 10)
    with pytest.raises(error, match=words):
        change(index)
    after = index.search(vectors_of(3), 10)
    np.testing.assert_array_equal(before.ids, after.ids)
    np.testing.assert_array_equal(before.scores, after.scores)
    assert len(index) == 300


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("compact", [False, True])
def test_an_index_of_no_items_answers_with_nothing_and_takes_the_first_ones(
    metric: str, compact: bool
) -> None:
    index = Approximate(8, metric=metric, compact=compact).fit(
        np.zeros(0, np.int64), np.zeros((0, 8), np.float32)
    )
    assert len(index) == 0
    for options in ({}, {"effort": 5}, {"exclude": [[1], []]}, {"where": np.zeros(0, bool)}):
        found = index.search(vectors_of(2), 5, **options)
        assert found.ids.shape == found.scores.shape == (2, 0)
    assert index.search(vectors_of(1)[0], 5).ids.shape == (0,)
    assert index.curve() == [(0, 1.0)]
    assert index.memory()["total"] == 0
    index.settle()
    index.add(["a", "b"], vectors_of(2))  # of whatever kind
    assert index.search(vectors_of(2), 5).ids.shape == (2, 2)
    assert index.search(vectors_of(2)[1], 2, effort=1).ids[0] in ("a", "b")


@pytest.mark.parametrize("n", [50, 300])
def test_an_index_whose_items_were_all_removed_is_empty_and_can_be_filled_again(n: int) -> None:
    index = Approximate(8).fit(np.arange(n), vectors_of(n), items=pl.DataFrame({"a": range(n)}))
    index.remove(np.arange(n))
    assert len(index) == 0
    assert index.search(vectors_of(2), 5).ids.shape == (2, 0)
    assert index.search(vectors_of(2), 5, where=pl.col("a") > 3).ids.shape == (2, 0)
    index.add([3, 10_000], vectors_of(2, seed=9), items=pl.DataFrame({"a": [1, 2]}))
    assert set(index.search(vectors_of(1)[0], 5).ids.tolist()) == {3, 10_000}
    assert index.search(vectors_of(1)[0], 5, where=pl.col("a") == 2).ids.tolist() == [10_000, -1]
    index.remove([3, 10_000])
    index.add(np.arange(n, 2 * n), vectors_of(n, seed=3), items=pl.DataFrame({"a": range(n)}))
    index.settle()
    exact = BruteForce(8).fit(index.ids, vectors_of(n, seed=3))
    np.testing.assert_array_equal(
        index.search(vectors_of(3), 9, effort=n).ids, exact.search(vectors_of(3), 9).ids
    )


def test_no_queries_give_no_results_and_no_changes_change_nothing(index: Approximate) -> None:
    nothing = np.zeros((0, 8), np.float32)
    for options in ({}, {"where": np.arange(300) < 3}, {"exclude": []}):
        found = index.search(nothing, 5, **options)
        assert found.ids.shape == found.scores.shape == (0, 5)
    index.update(np.zeros(0, np.int64), nothing)
    index.remove(np.zeros(0, np.int64))
    index.add(np.zeros(0, np.int64), nothing, items=pl.DataFrame({"year": [], "genre": []}))
    assert len(index) == 300


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [1, 2, 3, 5, 63, 4096])
@pytest.mark.parametrize("n", [1, 2, 17, 101, 230])
def test_any_width_and_any_few_items_give_the_exact_answer(metric: str, dim: int, n: int) -> None:
    if dim == 4096 and n == 230:
        n = 130  # enough for leaves, and quick
    vectors, queries = vectors_of(n, dim, seed=n), vectors_of(5, dim, seed=7)
    index = Approximate(dim, metric=metric).fit(np.arange(n), vectors)
    exact = BruteForce(dim, metric=metric).fit(np.arange(n), vectors)
    found, best = index.search(queries, n, effort=n), exact.search(queries, n)
    np.testing.assert_array_equal(found.scores, best.scores)
    np.testing.assert_array_equal(np.sort(found.ids, axis=1), np.sort(best.ids, axis=1))
    usual = index.search(queries, 3)
    assert (usual.ids >= 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    n=st.sampled_from([1, 90, 101, 250, 700]),
    dim=st.sampled_from([1, 4, 13]),
    batch=st.sampled_from([1, 4, 70]),
    k=st.sampled_from([1, 10, 1000]),
    of=st.sampled_from(["items", "zero", "huge", "tiny", "gaussian"]),
    share=st.sampled_from([None, 0.3, 0.01]),
    effort=st.sampled_from([None, 1, 10**30]),
)
def test_odd_vectors_and_queries_still_get_k_distinct_results_in_order(
    metric: str,
    compact: bool,
    kind: str,
    seed: int,
    n: int,
    dim: int,
    batch: int,
    k: int,
    of: str,
    share: float | None,
    effort: int | None,
) -> None:
    rng = np.random.default_rng(seed)
    vectors = odd(kind, n, dim, rng)
    queries = vectors_of(batch, dim, seed=seed % 1000)
    if of == "items":
        queries = vectors[rng.integers(0, n, batch)]
    else:
        # One odd query among plain ones: it must not disturb them either.
        queries[0] *= np.float32({"zero": 0, "huge": 5e37, "tiny": 1e-37, "gaussian": 1}[of])
    mask = np.ones(n, bool) if share is None else rng.random(n) < share
    index = Approximate(dim, metric=metric, compact=compact).fit(np.arange(n), vectors)
    found = index.search(queries, k, where=None if share is None else mask, effort=effort)
    width = min(k, int(mask.sum()))
    assert (
        np.sort(found.ids[:, :width], axis=1)[:, 1:] > np.sort(found.ids[:, :width], axis=1)[:, :-1]
    ).all()
    assert mask[found.ids[:, :width]].all()
    assert (found.ids[:, :width] >= 0).all()
    assert (found.ids[:, width:] == -1).all()
    assert not np.isnan(found.scores).any()
    assert (found.scores[:, 1:] <= found.scores[:, :-1]).all()


@pytest.mark.parametrize("metric", METRICS)
def test_equal_vectors_score_equal_and_the_first_of_them_come_back(metric: str) -> None:
    vectors = np.tile(vectors_of(1), (400, 1))
    index = Approximate(8, metric=metric).fit(np.arange(400), vectors)
    found = index.search(vectors_of(3, seed=5), 400)
    assert (np.sort(found.ids, axis=1) == np.arange(400)).all()
    assert (found.scores == found.scores[:, :1]).all()
    few = index.search(vectors_of(3, seed=5), 2, effort=1)
    assert (few.scores == found.scores[:, :1]).all()


def test_a_zero_query_of_distances_finds_the_shortest_among_long_vectors() -> None:
    vectors = 1e5 * vectors_of(2000)
    index = Approximate(8, metric="l2", recall=0.99).fit(np.arange(2000), vectors)
    best = BruteForce(8, metric="l2").fit(np.arange(2000), vectors).search(np.zeros(8, np.float32), 10)
    found = index.search(np.zeros(8, np.float32), 10, effort=2000)
    np.testing.assert_array_equal(found.ids, best.ids)


def test_a_query_too_long_to_square_ranks_as_its_direction_does_and_leaves_others_alone() -> None:
    index = Approximate(8).fit(np.arange(900), vectors_of(900))
    plain = vectors_of(6, seed=4)
    expected = index.search(plain, 10)
    for length in (1e20, 1e36):
        mixed = plain.copy()
        mixed[0] *= np.float32(length)
        found = index.search(mixed, 10)
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.scores[1:], expected.scores[1:])


def test_cosine_takes_vectors_of_any_length() -> None:
    vectors = vectors_of(500)
    scaled = (vectors.astype(np.float64) * 10.0 ** np.linspace(-30, 37, 500)[:, None]).astype(np.float32)
    plain, odd_ones = (
        Approximate(8, metric="cosine").fit(np.arange(500), some) for some in (vectors, scaled)
    )
    queries = vectors_of(5, seed=2)
    expected = plain.search(queries, 500)
    found = odd_ones.search(queries * np.float32(1e30), 500)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    assert (found.ids == expected.ids).mean() > 0.95
