"""Readers beside a writer, while vectors join the leaves in the background."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shortlist.index import Approximate
from shortlist.index.leaf_state import LeafState

DIM, COUNT = 4, 400
EVERYTHING = 10**9  # an effort that looks at every item


@pytest.fixture(autouse=True)
def joins_happen_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shortlist.index.joiner.FRESH_ROWS", 40)
    monkeypatch.setattr("shortlist.index.leaves.FLAT_ROWS", 100)


@pytest.fixture
def joins(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of vectors in the base after each join."""
    done: list[int] = []
    join = LeafState.join

    def counted(state: LeafState) -> Any:
        part = join(state)
        done.append(part.count)
        return part

    monkeypatch.setattr(LeafState, "join", counted)
    return done


def vectors_of(n: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.standard_normal((n, DIM)) * rng.lognormal(0, 0.5, (n, 1)), np.float32)


@contextmanager
def readers(*reads: Callable[[], Any]) -> Iterator[list[Any]]:
    """Threads that read again and again, each at least once; what they return or raise is collected."""
    wrong: list[Any] = []
    done = threading.Event()

    def run(read: Callable[[], Any]) -> None:
        while True:
            try:
                found = read()
            except BaseException as error:
                found = error
            if found is not None:
                wrong.append(found)
                return
            if done.is_set():
                return

    threads = [threading.Thread(target=run, args=(read,)) for read in reads]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        done.set()
        for thread in threads:
            thread.join()


def assert_holds(index: Approximate, model: dict[int, NDArray[np.float32]], *, error: float = 1e-5) -> None:
    """Each item once, with its vector."""
    assert sorted(index.ids.tolist()) == sorted(model)
    assert len(index) == len(model)
    queries = vectors_of(6, seed=99)
    found = index.search(queries, len(model) + 5, effort=EVERYTHING)
    for query, ids, scores in zip(queries, found.ids, found.scores, strict=True):
        assert sorted(ids.tolist()) == sorted(model)
        np.testing.assert_allclose(scores, [model[id_] @ query for id_ in ids.tolist()], rtol=0, atol=error)


@pytest.mark.parametrize("compact", [False, True])
def test_a_search_sees_each_update_whole_or_not_at_all_also_across_joins(
    joins: list[int], compact: bool
) -> None:
    ids, vectors = np.arange(COUNT), np.abs(vectors_of(COUNT)) + 0.1
    query = np.ones(DIM, np.float32)
    index = Approximate(DIM, compact=compact, threads=1).fit(ids, vectors)
    first = dict(zip(*index.search(query, COUNT, effort=EVERYTHING), strict=True))

    def read() -> Any:
        found, scores = index.search(query, COUNT, effort=EVERYTHING)
        if sorted(found.tolist()) != ids.tolist():
            return "not each item once", found
        steps = scores / np.array([first[id_] for id_ in found])  # all vectors are scaled by the same step
        return None if np.ptp(steps) < (0.1 if compact else 1e-3) * steps.mean() else ("torn", steps)

    with readers(read, read) as wrong:
        for step in range(2, 40):
            index.update(ids, np.float32(step) * vectors)
            if step % 10 == 0:
                index.settle()  # so that several joins end in the meantime, however slow they are
    assert not wrong
    index.settle()
    assert len(joins) > 2
    np.testing.assert_allclose(index.search(query, 1).scores[0], 39 * max(first.values()), rtol=0.02)


def test_a_search_beside_refits_sees_one_whole_fit(joins: list[int]) -> None:
    index = Approximate(DIM, threads=1)
    query = np.ones(DIM, np.float32)

    def fit(step: int) -> None:
        count = 120 + 60 * (step % 3)
        index.fit(np.arange(count) + 1000 * step, np.full((count, DIM), step, np.float32))
        index.update(np.arange(60) + 1000 * step, np.full((60, DIM), step, np.float32))  # starts a join

    fit(1)

    def read() -> Any:
        found, scores = index.search(query, 1000, effort=EVERYTHING)
        step = int(found[0]) // 1000
        count = 120 + 60 * (step % 3)
        whole = sorted(found.tolist()) == (np.arange(count) + 1000 * step).tolist()
        return None if whole and (scores == DIM * step).all() else (found, scores)

    with readers(read, read) as wrong:
        for step in range(2, 14):
            fit(step)
    assert not wrong
    index.settle()
    assert read() is None
    assert joins
    assert index.ids[0] == 13_000


def test_no_item_comes_back_once_remove_has_returned(joins: list[int]) -> None:
    index = Approximate(DIM, threads=1).fit(np.arange(COUNT), vectors_of(COUNT))
    gone: set[int] = set()

    def read() -> Any:
        before = set(gone)  # ids are never added again
        found = index.search(vectors_of(2, seed=5), COUNT, effort=EVERYTHING).ids
        back = before & set(found.ravel().tolist())
        return ("came back", back) if back else None

    with readers(read, read) as wrong:
        for step in range(40):
            fresh = np.arange(30) + 1000 * (step + 1)
            index.add(fresh, vectors_of(30, seed=step))
            old = index.ids[::13][:30]
            index.remove(old)
            gone.update(old.tolist())
            assert not gone & set(index.search(vectors_of(1), COUNT, effort=EVERYTHING).ids.ravel().tolist())
    assert not wrong
    assert len(joins) > 2


@pytest.mark.parametrize("compact", [False, True])
def test_after_settle_everything_is_there_exactly_once(joins: list[int], compact: bool) -> None:
    rng = np.random.default_rng(0)
    vectors = np.sign(vectors_of(COUNT))  # of which no component is more than 2 from its centroid's
    # A query is rounded by up to half a 127th of its largest component, and what a vector differs by from its
    # centroid by half a 127th of 2: with the queries asked, 0.066 in all, however the joins part the leaves.
    error = 0.07 if compact else 1e-5
    index = Approximate(DIM, compact=compact, threads=1).fit(np.arange(COUNT), vectors)
    model = dict(enumerate(vectors))
    for step in range(60):
        known = rng.permutation(list(model))
        new, changed, dropped = np.arange(10) + 1000 + 10 * step, known[:15], known[15:25]
        back = rng.permutation(sorted(set(range(COUNT)) - model.keys()))[:5]  # removed before
        index.remove(dropped)
        for id_ in dropped.tolist():
            del model[id_]
        for change, ids in ((index.add, np.concatenate([new, back])), (index.update, changed)):
            ids = ids.astype(np.int64)
            some = np.sign(vectors_of(len(ids), seed=int(rng.integers(10**6))))
            change(ids, some)
            model |= dict(zip(ids.tolist(), some, strict=True))
        if step % 20 == 0:
            assert_holds(index, model, error=error)
    assert_holds(index, model, error=error)
    index.settle()
    assert len(joins) > 2
    assert_holds(index, model, error=error)


def test_length_and_ids_belong_together_beside_a_writer() -> None:
    index = Approximate(DIM, threads=1).fit(np.arange(COUNT), vectors_of(COUNT))
    pairs = np.arange(15) * 2 + 10_000

    def read() -> Any:
        ids = index.ids.tolist()
        if len(set(ids)) != len(ids):
            return "an id twice", ids
        halves = {id_ // 2 for id_ in ids if id_ >= 10_000}
        if len(ids) != COUNT + 2 * len(halves) or len(index) not in range(COUNT, COUNT + 31):
            return "half a pair", ids  # pairs come and go together
        return None

    with readers(read, read) as wrong:
        for pair in pairs:
            index.add([pair, pair + 1], vectors_of(2, seed=int(pair)))
        for pair in pairs:
            index.remove([pair, pair + 1])
    assert not wrong
    assert len(index) == COUNT


def test_a_join_that_fails_warns_and_the_index_goes_on_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = vectors_of(COUNT)
    index = Approximate(DIM, threads=1).fit(np.arange(COUNT), vectors)
    model = dict(enumerate(vectors))

    def fail(state: LeafState) -> Any:
        raise MemoryError("no room")

    with warnings.catch_warnings(record=True) as caught, monkeypatch.context() as patch:
        warnings.simplefilter("always")
        patch.setattr(LeafState, "join", fail)
        for step in range(4):
            ids = np.arange(60) + 50 * step
            some = vectors_of(60, seed=step)
            index.update(ids, some)
            model |= dict(zip(ids.tolist(), some, strict=True))
            index.remove([300 + step])
            del model[300 + step]
            index.settle()
            assert_holds(index, model)
    assert any(
        "could not join" in str(warning.message) and "no room" in str(warning.message) for warning in caught
    )
    index.update([0], vectors[:1])  # the next change tries again
    model[0] = vectors[0]
    index.settle()
    assert index._fitted().fresh_rows == 0
    assert_holds(index, model)


def test_settle_returns_while_updates_go_on_and_leaves_nothing_out(joins: list[int]) -> None:
    vectors = vectors_of(COUNT)
    index = Approximate(DIM, threads=1).fit(np.arange(COUNT), vectors)
    model = dict(enumerate(vectors))
    settled = 0

    def settle() -> Any:
        nonlocal settled
        index.settle()
        settled += 1
        found = index.search(vectors_of(1, seed=7), COUNT, effort=EVERYTHING).ids[0]
        return None if sorted(found.tolist()) == list(range(COUNT)) else found

    with readers(settle) as wrong:
        for step in range(60):
            ids = np.random.default_rng(step).permutation(COUNT)[:25]
            some = vectors_of(25, seed=step)
            index.update(ids, some)
            model |= dict(zip(ids.tolist(), some, strict=True))
    assert not wrong
    assert settled > 0
    index.settle()
    assert joins
    assert_holds(index, model)


def test_an_index_is_saved_whole_beside_a_writer(tmp_path: Any) -> None:
    ids, vectors = np.arange(COUNT), np.abs(vectors_of(COUNT)) + 0.1
    index = Approximate(DIM, threads=1).fit(ids, vectors)
    query = np.ones(DIM, np.float32)
    first = dict(zip(*index.search(query, COUNT, effort=EVERYTHING), strict=True))
    done = threading.Event()

    def write() -> None:
        for step in range(2, 60):
            index.update(ids, np.float32(step) * vectors)
            if done.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(5):
        index.save(tmp_path / "index")
        found, scores = Approximate.load(tmp_path / "index").search(query, COUNT, effort=EVERYTHING)
        assert sorted(found.tolist()) == ids.tolist()
        assert np.ptp(scores / np.array([first[id_] for id_ in found])) < 1e-2
    done.set()
    writer.join()
