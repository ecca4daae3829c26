"""The exact index: searches, filters, mutations, and readers beside writers."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import exact_top_k

from shortlist.data import Ragged
from shortlist.errors import ConfigError, DataError, NotFittedError, ShapeError, UnknownIdError
from shortlist.index import BruteForce


def vectors_of(n: int, dim: int = 8, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.fixture
def index() -> BruteForce:
    items = pl.DataFrame({"year": range(1900, 2000), "genre": ["a", "b", None, "c"] * 25})
    return BruteForce(8).fit(np.arange(100) + 1000, vectors_of(100), items=items)


Operation = tuple[str, list[int], int]
operations = st.lists(
    st.tuples(
        st.sampled_from(["add", "update", "remove", "fit"]),
        st.lists(st.integers(0, 30), unique=True, max_size=12),
        st.integers(0, 1000),
    ),
    max_size=15,
)


@pytest.mark.parametrize("as_id", [int, str], ids=["integers", "strings"])
@settings(max_examples=60, deadline=None)
@given(steps=operations)
def test_any_series_of_mutations_leaves_what_a_dictionary_would(as_id: type, steps: list[Operation]) -> None:
    index = BruteForce(3).fit(np.zeros(0, np.int64), np.zeros((0, 3), np.float32))
    model: dict[Any, NDArray[np.float32]] = {}
    places: dict[Any, int] = {}  # ids in order of first appearance, also of those gone
    for kind, numbers, seed in steps:
        ids = [as_id(number) for number in numbers]
        if kind == "fit":
            model, places = {}, {}
        chosen = [id_ for id_ in ids if (id_ in model) == (kind in ("update", "remove"))]
        vectors = np.random.default_rng(seed).integers(-2, 3, (len(chosen), 3)).astype(np.float32)
        if kind == "remove":
            index.remove(chosen)
        else:
            getattr(index, kind)(chosen, vectors)
        for id_, vector in zip(chosen, vectors, strict=True):
            model[id_] = vector
            places.setdefault(id_, len(places))
            if kind == "remove":
                del model[id_]
        _assert_equal(index, model, sorted(model, key=places.__getitem__))


def _assert_equal(index: BruteForce, model: dict[Any, NDArray[np.float32]], order: list[Any]) -> None:
    assert index.ids.tolist() == order
    assert len(index) == len(model)
    stored = np.array([model[id_] for id_ in order], np.float32).reshape(-1, 3)
    queries = np.array([[1, 0, 0], [-1, 2, 0.5]], np.float32)
    rows, scores = exact_top_k.top_k(stored, queries, 7)
    found = index.search(queries, 7)
    assert found.ids.tolist() == [[order[row] for row in each] for each in rows]
    np.testing.assert_array_equal(found.scores, scores.astype(np.float32))


@pytest.mark.parametrize("metric", ["dot", "cosine", "l2"])
def test_each_metric_ranks_by_its_definition(metric: str) -> None:
    vectors, queries = vectors_of(500), vectors_of(3, seed=1) * 5
    found = BruteForce(8, metric=metric).fit(np.arange(500), vectors).search(queries, 500)
    v, q = vectors.astype(np.float64), queries.astype(np.float64)
    expected = q @ v.T
    if metric == "cosine":
        expected /= np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(v, axis=1)
    elif metric == "l2":
        expected = -((q[:, None] - v) ** 2).sum(2)
    np.testing.assert_array_equal(found.ids, np.argsort(-expected, axis=1))
    np.testing.assert_allclose(found.scores, -np.sort(-expected, axis=1), rtol=1e-5, atol=1e-6)


def test_cosine_takes_vectors_of_any_length_and_zeros() -> None:
    vectors = np.array([[3e38, 3e38], [1e-42, 0], [0, 0], [-1, 0]], np.float32)
    index = BruteForce(2, metric="cosine").fit([0, 1, 2, 3], vectors)
    ids, scores = index.search(np.array([1e-40, 0], np.float32), 4)
    assert ids.tolist() == [1, 0, 2, 3]
    np.testing.assert_allclose(scores, [1, 0.5**0.5, 0, -1], rtol=1e-6)


def test_results_unpack_and_a_single_query_has_no_batch_axis(index: BruteForce) -> None:
    ids, scores = index.search(vectors_of(2), k=5)
    assert ids.shape == scores.shape == (2, 5)
    assert ids.dtype == np.int64
    assert scores.dtype == np.float32
    one = index.search(torch.from_numpy(vectors_of(2)[0]), k=5)
    np.testing.assert_array_equal(one.ids, ids[0])
    assert len(one) == 5


def test_k_beyond_the_items_returns_them_all(index: BruteForce) -> None:
    ids, _ = index.search(vectors_of(1), k=1000)
    assert sorted(ids[0]) == list(range(1000, 1100))


def test_an_excluded_item_never_comes_back_and_k_results_still_do(index: BruteForce) -> None:
    queries = vectors_of(3, seed=4)
    before = index.search(queries, 100).ids
    exclude = [[*before[0, :40].tolist(), 77, -1], [], before[2, ::2].tolist()]
    ids, scores = index.search(queries, 60, exclude=exclude)
    np.testing.assert_array_equal(ids[0], before[0, 40:])
    np.testing.assert_array_equal(ids[1], before[1, :60])
    np.testing.assert_array_equal(ids[2, :50], before[2, 1::2])
    assert (ids[2, 50:] == -1).all()
    assert np.isneginf(scores[2, 50:]).all()
    ragged = index.search(queries, 60, exclude=Ragged.from_lists(exclude))
    np.testing.assert_array_equal(ragged.ids, ids)
    single = index.search(queries[0], 60, exclude=exclude[0])
    np.testing.assert_array_equal(single.ids, ids[0])


def test_string_ids_come_back_as_they_went_in_with_none_for_nothing() -> None:
    index = BruteForce(8).fit([f"item {i}" for i in range(10)], vectors_of(10))
    ids, _ = index.search(vectors_of(2), 3, exclude=[["item 3", "nobody"], []], where=np.arange(10) % 4 == 3)
    assert set(ids[0]) == {"item 7", None}
    assert set(ids[1]) == {"item 3", "item 7", None}
    assert "item 3" in index
    assert "item 33" not in index
    assert 3 not in index


def test_where_takes_a_mask_or_a_predicate_and_null_is_false(index: BruteForce) -> None:
    queries = vectors_of(2, seed=9)
    mask = np.array([genre in ("a", "c") for genre in ["a", "b", None, "c"] * 25])
    by_mask = index.search(queries, 60, where=mask)
    by_predicate = index.search(queries, 60, where=pl.col("genre") != "b")
    np.testing.assert_array_equal(by_mask.ids, by_predicate.ids)
    assert ((by_mask.ids >= 1000).sum(1) == 50).all()
    np.testing.assert_array_equal(by_mask.ids, index.search(queries, 60, where=torch.from_numpy(mask)).ids)
    np.testing.assert_array_equal(by_mask.ids, index.search(queries, 60, where=pl.Series(mask)).ids)


def test_where_follows_ids_and_items_through_mutations(index: BruteForce) -> None:
    index.remove([1000, 1050])
    index.add([7, 1050], vectors_of(2, seed=5), items=pl.DataFrame({"genre": ["x", "x"], "year": [1, 2]}))
    index.update([1099], vectors_of(1, seed=6), items=pl.DataFrame({"year": [3], "genre": ["x"]}))
    index.update([1098], vectors_of(1, seed=6))
    assert index.ids.tolist() == [*range(1001, 1100), 7]  # 1050 is back in its old place
    ids, _ = index.search(vectors_of(1), 10, where=pl.col("genre") == "x")
    assert set(ids[0]) == {7, 1050, 1099, -1}
    ids, _ = index.search(vectors_of(1), 5, where=np.isin(index.ids, [7, 1001, 1098]))
    assert set(ids[0]) == {7, 1001, 1098, -1}


def test_what_the_caller_does_to_his_tensor_afterwards_does_not_matter() -> None:
    vectors = torch.from_numpy(vectors_of(50))
    index = BruteForce(8).fit(range(50), vectors)
    before = index.search(vectors_of(1), 10)
    vectors.zero_()
    np.testing.assert_array_equal(index.search(vectors_of(1), 10).scores, before.scores)


def test_vectors_that_are_not_contiguous_are_read_as_they_stand() -> None:
    vectors = vectors_of(60, 16)
    strided = BruteForce(8).fit(np.arange(30), vectors[::-2, ::2])
    straight = BruteForce(8).fit(np.arange(30), np.ascontiguousarray(vectors[::-2, ::2]))
    queries = np.asfortranarray(vectors_of(4))
    np.testing.assert_array_equal(strided.search(queries, 9).ids, straight.search(vectors_of(4), 9).ids)


def test_searches_beside_a_writer_see_each_update_whole_or_not_at_all() -> None:
    ids = np.arange(300)
    index = BruteForce(2).fit(ids, np.ones((300, 2), np.float32))
    torn: list[Any] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            scores = index.search(np.ones(2, np.float32), 300).scores
            if len(scores) != 300 or len(set(scores.tolist())) != 1:
                torn.append(scores)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for step in range(2, 40):
        index.update(ids, np.full((300, 2), step, np.float32))
    done.set()
    for reader in readers:
        reader.join()
    assert not torn
    assert index.search(np.ones(2, np.float32), 1).scores[0] == 78


def test_many_small_additions_stay_in_few_segments() -> None:
    index = BruteForce(8).fit([0], vectors_of(1))
    for number in range(1, 200):
        index.add([number], vectors_of(1, seed=number))
    assert len(index._fitted().segments) <= 8
    index.remove(list(range(150)))
    assert sum(len(segment) for segment in index._fitted().segments) <= 100  # the dead do not stay for ever


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda i: i.fit([1, 1], vectors_of(2)), DataError, "id 1 comes more than once"),
        (lambda i: i.fit([1, None], vectors_of(2)), DataError, "1 ids are null"),
        (lambda i: i.fit([1.5, 2.5], vectors_of(2)), DataError, "must be strings or integers"),
        (lambda i: i.fit([1, "a"], vectors_of(2)), DataError, "neither strings nor"),
        (lambda i: i.fit([1], vectors_of(2)), ShapeError, "1 ids for 2 vectors"),
        (lambda i: i.fit([1, 2], vectors_of(2, 7)), ShapeError, r"vectors must be float32 \[n, 8\]"),
        (lambda i: i.fit([1], np.ones((1, 8))), ShapeError, "got float64"),
        (lambda i: i.fit([1], np.full((1, 8), np.nan, np.float32)), DataError, "vector 0 holds a NaN"),
        (lambda i: i.fit([1], vectors_of(1), items=pl.DataFrame({"a": [1, 2]})), ShapeError, "2 items for 1"),
        (lambda i: i.add([1, 1000], vectors_of(2)), DataError, "id 1000 is already in the index"),
        (lambda i: i.add([1], vectors_of(1)), DataError, "has an item table"),
        (lambda i: i.add([1], np.full((1, 8), np.inf, np.float32)), DataError, "vector 0"),
        (lambda i: i.add(["a"], vectors_of(1)), DataError, "the index holds integers"),
        (lambda i: i.add([1], vectors_of(1), items=pl.DataFrame({"year": [1]})), DataError, "do not fit"),
        (
            lambda i: i.update([1000, 5], vectors_of(2)),
            UnknownIdError,
            r"id 5 is not in the index \(100 items\)",
        ),
        (lambda i: i.remove([1000, 5, 6]), UnknownIdError, r"id 5 \(and 1 more\)"),
        (lambda i: i.search(vectors_of(1), 0), ConfigError, "k is 0"),
        (lambda i: i.search(vectors_of(1, 9), 1), ShapeError, r"queries must be float32 \[n, 8\]"),
        (lambda i: i.search(vectors_of(1).tolist(), 1), ShapeError, "got float64"),
        (lambda i: i.search(np.full(8, np.nan, np.float32), 1), DataError, "query 0"),
        (lambda i: i.search(vectors_of(2), 1, exclude=[[1]]), ShapeError, "1 lists for 2 queries"),
        (lambda i: i.search(vectors_of(1), 1, exclude=[["a"]]), DataError, "the index holds integers"),
        (lambda i: i.search(vectors_of(1), 1, where=np.ones(99, bool)), ShapeError, r"bool \[100\]"),
        (lambda i: i.search(vectors_of(1), 1, where=np.ones(100)), ShapeError, "got float64"),
        (lambda i: i.search(vectors_of(1), 1, where=pl.col("price") > 3), ConfigError, "price"),
        (lambda i: i.search(vectors_of(1), 1, where=pl.col("year") + 1), ConfigError, "Int64"),
        (lambda i: BruteForce(0), ConfigError, "dim is 0"),
        (lambda i: BruteForce(8, metric="cosin"), ConfigError, "did you mean 'cosine'"),
        (lambda i: BruteForce(8).search(vectors_of(1), 1), NotFittedError, "fit"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_changes_nothing(
    index: BruteForce, change: Any, error: type[Exception], words: str
) -> None:
    before = index.search(vectors_of(3), 10)
    with pytest.raises(error, match=words):
        change(index)
    after = index.search(vectors_of(3), 10)
    np.testing.assert_array_equal(before.ids, after.ids)
    assert len(index) == 100
