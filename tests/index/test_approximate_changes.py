"""The approximate index while items come, change and go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.clustered import clustered, share_found

from shortlist.index import Approximate, BruteForce

DIM, ITEMS, QUERIES = 16, 6000, 300
METRICS = ["dot", "cosine", "l2"]


def vectors_of(metric: str, n: int = ITEMS, seed: int = 1) -> NDArray[np.float32]:
    return clustered(n, DIM, seed, spread=0.5 if metric == "dot" else 0.2)


def exact_of(index: Approximate, vectors: NDArray[np.float32]) -> BruteForce:
    return BruteForce(index.dim, metric=index.metric).fit(index.ids, vectors)


@pytest.fixture
def small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves and joins for indexes of some hundred items."""
    monkeypatch.setattr("shortlist.index.leaves.FLAT_ROWS", 256)
    monkeypatch.setattr("shortlist.index.joiner.FRESH_ROWS", 200)


@pytest.mark.usefixtures("small_leaves")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("compact", [False, True])
def test_the_next_search_sees_what_was_added_updated_and_removed(metric: str, compact: bool) -> None:
    vectors = vectors_of(metric, 1500)
    index = Approximate(DIM, metric=metric, compact=compact).fit(np.arange(1500), vectors)
    far = 100 * np.eye(DIM, dtype=np.float32)
    index.add([5000, 5001], far[:2])
    assert index.search(far[0], 1).ids.tolist() == [5000]
    assert index.search(far[:2], 1).ids.tolist() == [[5000], [5001]]
    index.update([5000, 7], far[[2, 3]])
    assert index.search(far[2], 1).ids.tolist() == [5000]
    assert index.search(far[3], 1).ids.tolist() == [7]
    assert index.search(far[0], 1).ids.tolist() != [5000]
    before = index.search(vectors[8], 5, effort=1502).ids.tolist()
    index.remove([before[0], 5001])
    after = index.search(vectors[8], 4, effort=1502).ids.tolist()
    assert after == before[1:]
    assert len(index) == 1500
    assert 5001 not in index.search(far[1], 1500).ids
    index.add([5001], far[4:5])
    assert index.search(far[4], 1).ids.tolist() == [5001]


@pytest.mark.usefixtures("small_leaves")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "update", "remove", "settle"]),
            st.integers(0, 900),
            st.integers(1, 400),
        ),
        max_size=8,
    ),
    seed=st.integers(0, 1000),
    metric=st.sampled_from(METRICS),
)
def test_any_series_of_changes_leaves_what_a_dictionary_would(
    steps: list[tuple[str, int, int]], seed: int, metric: str
) -> None:
    rng = np.random.default_rng(seed)
    model = dict(enumerate(rng.standard_normal((600, 4)).astype(np.float32)))
    index = Approximate(4, metric=metric).fit(list(model), np.stack(list(model.values())))
    for kind, first, count in steps:
        ids = [id_ for id_ in range(first, first + count) if (id_ in model) == (kind != "add")]
        vectors = rng.standard_normal((len(ids), 4)).astype(np.float32)
        if kind == "settle":
            index.settle()
        elif kind == "remove":
            index.remove(ids)
            model = {id_: vector for id_, vector in model.items() if id_ not in set(ids)}
        else:
            getattr(index, kind)(ids, vectors)
            model.update(zip(ids, vectors, strict=True))
        _assert_holds(index, model)
    index.settle()
    _assert_holds(index, model)


def _assert_holds(index: Approximate, model: dict[int, NDArray[np.float32]]) -> None:
    assert len(index) == len(model)
    assert set(index.ids.tolist()) == set(model)
    stored = np.stack([model[id_] for id_ in index.ids.tolist()]) if model else np.zeros((0, 4), np.float32)
    queries = np.array([[1, 0, 0, 2], [-1, 2, 0.5, 0]], np.float32)
    found = index.search(queries, 1000, effort=10_000)
    best = exact_of(index, stored).search(queries, 1000)
    np.testing.assert_array_equal(found.ids, best.ids)
    np.testing.assert_array_equal(found.scores, best.scores)


@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_replacing_half_of_many_items_keeps_the_recall_of_an_effort(metric: str) -> None:
    n = 50_000 if metric == "dot" else 9000
    vectors, queries = vectors_of(metric, n), vectors_of(metric, 2000, seed=2)
    index = Approximate(DIM, metric=metric).fit(np.arange(n), vectors)
    effort = next(effort for effort, recall in index.curve() if recall > 0.9)
    before = share_found(
        index.search(queries, 10, effort=effort).ids, exact_of(index, vectors).search(queries, 10).ids
    )
    changed = np.random.default_rng(3).permutation(n)[: n // 2]
    vectors[changed] = vectors_of(metric, n // 2, seed=4)
    for some in np.array_split(changed, 10):
        index.update(some, vectors[some])
    index.settle()
    assert index._fitted().fresh_rows <= 4096
    after = share_found(
        index.search(queries, 10, effort=effort).ids, exact_of(index, vectors).search(queries, 10).ids
    )
    assert after > before - 0.02


@pytest.mark.usefixtures("small_leaves")
@pytest.mark.parametrize("metric", METRICS)
def test_an_index_that_grew_to_ten_times_its_size_still_gives_the_recall_asked_for(metric: str) -> None:
    vectors, queries = vectors_of(metric), vectors_of(metric, QUERIES, seed=2)
    index = Approximate(DIM, metric=metric).fit(np.arange(600), vectors[:600])
    for start in range(600, ITEMS, 1800):
        index.add(np.arange(start, start + 1800), vectors[start : start + 1800])
        index.settle()
    assert len(index) == ITEMS
    found = index.search(queries, 10).ids
    assert share_found(found, exact_of(index, vectors).search(queries, 10).ids) >= 0.9


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_that_came_during_a_joining_are_found_beside_the_new_leaves(metric: str) -> None:
    # So far that codes relative to the old origin, which is zero, would say little; see the cosine's queries.
    far = (2 if metric == "cosine" else 30) * vectors_of(metric).std()
    vectors, queries = vectors_of(metric) + far, vectors_of(metric, 50, seed=2) + far
    index = Approximate(DIM, metric=metric).fit([], np.zeros((0, DIM), np.float32))
    index.add(np.arange(3000), vectors[:3000])
    taken = index._fitted()
    base = taken.join()
    index.add(np.arange(3000, ITEMS), vectors[3000:])
    index._state = index._fitted().adopting(base, taken)
    found = index.search(queries, 10).ids
    assert (found >= 3000).any()
    assert (found < 3000).any()
    assert share_found(found, exact_of(index, vectors).search(queries, 10).ids) > 0.98


@pytest.mark.usefixtures("small_leaves")
def test_fitting_anew_while_vectors_are_joining_leaves_the_new_items_alone() -> None:
    old, new = vectors_of("dot", 3000), vectors_of("dot", 800, seed=12)
    index = Approximate(DIM).fit(np.arange(3000), old)
    index.update(np.arange(2000), old[:2000] * 2)
    index.fit(np.arange(9000, 9800), new)
    assert index.search(old[:50], 10).ids.min() >= 9000
    index.settle()
    assert len(index) == 800
    assert index.search(old[:50], 800).ids.min() >= 9000
    np.testing.assert_array_equal(
        index.search(old[:50], 10, effort=800).ids, exact_of(index, new).search(old[:50], 10).ids
    )
