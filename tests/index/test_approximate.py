"""The approximate index: what it finds, with filters, exclusions and changes, beside the exact index."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.clustered import clustered, share_found

from shortlist.data import Ragged
from shortlist.index import Approximate, BruteForce

DIM, ITEMS, QUERIES = 16, 6000, 300
FILTERED = 9900  # so that one item is a share of 0.01 %
METRICS = ["dot", "cosine", "l2"]
SHARES = [0.5, 0.1, 0.01, 0.001, 0.0001]
NOISE = {1: 0.045, 10: 0.025, 100: 0.02}  # of a recall measured with 300 queries, and of the curve's own


def vectors_of(metric: str, n: int = ITEMS, seed: int = 1) -> NDArray[np.float32]:
    return clustered(n, DIM, seed, spread=0.5 if metric == "dot" else 0.2)


@cache
def pair(metric: str, n: int = ITEMS) -> tuple[Approximate, BruteForce]:
    """An approximate and an exact index of the same items, which no test may change."""
    vectors, ids = vectors_of(metric, n), np.arange(n) + 1000
    items = pl.DataFrame({"rank": np.random.default_rng(5).permutation(n)})
    approximate = Approximate(DIM, metric=metric).fit(ids, vectors, items=items)
    return approximate, BruteForce(DIM, metric=metric).fit(ids, vectors, items=items)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_recall_is_the_one_asked_for(metric: str, k: int) -> None:
    approximate, exact = pair(metric)
    queries = vectors_of(metric, QUERIES, seed=2)
    found, best = approximate.search(queries, k), exact.search(queries, k)
    assert found.ids.shape == (QUERIES, k)
    assert (found.ids >= 1000).all()
    assert all(len(set(each)) == k for each in found.ids.tolist())
    assert share_found(found.ids, best.ids) >= 0.95 - NOISE[k]
    assert approximate.curve(k)[0][1] < 0.95  # and a search did not look at everything for it


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("compact", [False, True])
def test_vectors_that_all_lie_far_to_one_side_are_found_as_well(metric: str, compact: bool) -> None:
    # A cosine's queries are as one-sided, and eight bits of them say little of how they differ.
    far = {"dot": 20, "cosine": 2, "l2": 20}[metric] * vectors_of(metric).std()
    vectors = vectors_of(metric) + far
    queries = vectors_of(metric, QUERIES, seed=2) + (metric != "dot") * far
    index = Approximate(DIM, metric=metric, compact=compact).fit(np.arange(ITEMS), vectors, queries=queries)
    exact = BruteForce(DIM, metric=metric).fit(np.arange(ITEMS), vectors)
    best = exact.search(queries, 10)
    assert share_found(index.search(queries, 10).ids, best.ids) >= 0.95 - NOISE[10]
    everything = index.search(queries, 10, effort=ITEMS)
    assert share_found(everything.ids, best.ids) >= (0.95 if compact else 0.999)
    tolerance = (0.01 if compact else 1e-6) * np.abs(best.scores).max()
    np.testing.assert_allclose(everything.scores, best.scores, rtol=0, atol=tolerance)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_the_exact_index_and_descend(metric: str) -> None:
    approximate, exact = pair(metric)
    queries = vectors_of(metric, 20, seed=3)
    found, everything = approximate.search(queries, 30), exact.search(queries, ITEMS)
    for ids, scores, all_ids, all_scores in zip(
        found.ids, found.scores, everything.ids, everything.scores, strict=True
    ):
        by_id = dict(zip(all_ids.tolist(), all_scores.tolist(), strict=True))
        np.testing.assert_array_equal(scores, np.array([by_id[id_] for id_ in ids.tolist()], np.float32))
        assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 10, 100])
def test_looking_at_everything_gives_the_exact_answer(metric: str, k: int) -> None:
    approximate, exact = pair(metric)
    queries = vectors_of(metric, 40, seed=4)
    found, best = approximate.search(queries, k, effort=len(approximate)), exact.search(queries, k)
    np.testing.assert_array_equal(found.ids, best.ids)
    np.testing.assert_array_equal(found.scores, best.scores)


@pytest.mark.parametrize("metric", METRICS)
def test_k_beyond_the_items_returns_them_all(metric: str) -> None:
    approximate, exact = pair(metric)
    queries = vectors_of(metric, 2, seed=4)
    found, best = approximate.search(queries, 7000), exact.search(queries, 7000)
    assert (np.sort(found.ids, axis=1) == np.arange(ITEMS) + 1000).all()
    np.testing.assert_array_equal(found.scores, best.scores)


def test_a_higher_effort_finds_more() -> None:
    approximate, exact = pair("dot")
    queries = vectors_of("dot", QUERIES, seed=2)
    best = exact.search(queries, 10).ids
    recalls = [
        share_found(approximate.search(queries, 10, effort=effort).ids, best) for effort in (32, 128, 512)
    ]
    assert recalls[0] + 0.05 < recalls[1] < recalls[2]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("batch", [1, 100])
def test_a_filter_of_any_share_leaves_k_results_at_the_recall_asked_for(
    metric: str, share: float, batch: int
) -> None:
    approximate, exact = pair(metric, FILTERED)
    queries = vectors_of(metric, 100, seed=6)
    allowed = round(FILTERED * share)
    k = min(10, allowed)
    predicate = pl.col("rank") < allowed
    mask = np.random.default_rng(5).permutation(FILTERED) < allowed
    best = exact.search(queries, k, where=predicate).ids
    for where in (mask, predicate, torch.from_numpy(mask), pl.Series(mask)):
        found = np.concatenate(
            [
                approximate.search(queries[start : start + batch], k, where=where).ids
                for start in range(0, 100 if batch > 1 or where is mask else 20, batch)
            ]
        )
        assert (found >= 1000).all()
        assert mask[found - 1000].all()
        assert all(len(set(each)) == k for each in found.tolist())
        assert share_found(found, best[: len(found)]) >= (0.92 if len(found) == 100 else 0.88)


@pytest.mark.parametrize("batch", [1, 100])
def test_fewer_allowed_than_k_come_back_all_and_nothing_else(batch: int) -> None:
    approximate, _ = pair("dot", FILTERED)
    queries = vectors_of("dot", batch, seed=7)
    rank = np.random.default_rng(5).permutation(FILTERED)
    found = approximate.search(queries, 10, where=pl.col("rank") < 7)
    assert (np.sort(found.ids[:, :7], axis=1) == np.flatnonzero(rank < 7) + 1000).all()
    assert (found.ids[:, 7:] == -1).all()
    assert np.isneginf(found.scores[:, 7:]).all()
    nothing = approximate.search(queries, 10, where=np.zeros(FILTERED, bool))
    assert nothing.ids.shape == (batch, 10)
    assert (nothing.ids == -1).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 10, 100])
def test_without_its_fifty_best_a_query_gets_the_next_ones(metric: str, k: int) -> None:
    approximate, exact = pair(metric)
    queries = vectors_of(metric, QUERIES, seed=2)
    exclude = exact.search(queries, 50).ids
    found = approximate.search(queries, k, exclude=exclude)
    best = exact.search(queries, k, exclude=exclude)
    assert (found.ids >= 1000).all()
    assert not any(set(got) & set(refused) for got, refused in zip(found.ids, exclude, strict=True))
    # In so small an index fifty more are a larger step than the effort reckons with.
    assert share_found(found.ids, best.ids) >= 0.95 - NOISE[k] - 0.025


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    batch=st.sampled_from([1, 3, 5, 70]),
    k=st.sampled_from([1, 10, 60]),
    cut=st.sampled_from([0, 1, 40, 3000, ITEMS - 30, ITEMS]),
    effort=st.sampled_from([None, 1, 100]),
    share=st.sampled_from([None, 0.5, 0.01]),
    metric=st.sampled_from(METRICS),
)
def test_an_excluded_item_never_comes_back_and_k_results_do_where_k_are_allowed(
    seed: int, batch: int, k: int, cut: int, effort: int | None, share: float | None, metric: str
) -> None:
    rng = np.random.default_rng(seed)
    approximate, exact = pair(metric)
    queries = vectors_of(metric, batch, seed=seed)
    ranked = exact.search(queries, cut).ids if cut else np.zeros((batch, 0), np.int64)
    exclude = [[*each.tolist(), 7, -1, 5] for each in ranked]  # ids that the index does not hold
    mask = np.ones(ITEMS, bool) if share is None else rng.random(ITEMS) < share
    found = approximate.search(
        queries, k, exclude=exclude, where=None if share is None else mask, effort=effort
    )
    for ids, refused in zip(found.ids.tolist(), ranked, strict=True):
        left = mask.copy()
        left[refused - 1000] = False
        got = [id_ for id_ in ids if id_ >= 0]
        assert len(set(got)) == len(got) == min(k, left.sum())
        assert left[np.array(got, np.int64) - 1000].all()
        assert ids[len(got) :] == [-1] * (k - len(got))


def test_exclusions_come_as_lists_an_array_or_ragged_and_one_list_for_one_query() -> None:
    approximate, exact = pair("dot")
    queries = vectors_of("dot", 4, seed=8)
    cut = exact.search(queries, 20).ids
    found = approximate.search(queries, 10, exclude=cut.tolist())
    for exclude in (cut, Ragged.from_lists(cut.tolist())):
        np.testing.assert_array_equal(approximate.search(queries, 10, exclude=exclude).ids, found.ids)
    single = approximate.search(queries[2], 10, exclude=cut[2].tolist())
    np.testing.assert_array_equal(single.ids, found.ids[2])


@pytest.mark.parametrize("metric", METRICS)
def test_a_query_gets_the_same_alone_and_in_a_batch(metric: str) -> None:
    approximate, _ = pair(metric)
    queries = vectors_of(metric, 90, seed=9)
    together = approximate.search(queries, 12)
    for number, query in enumerate(queries):
        alone = approximate.search(query, 12)
        assert alone.ids.shape == alone.scores.shape == (12,)
        np.testing.assert_array_equal(alone.ids, together.ids[number])
        np.testing.assert_array_equal(alone.scores, together.scores[number])


def test_tensors_go_in_as_arrays_do_and_later_changes_to_them_do_not_matter() -> None:
    vectors, queries = vectors_of("dot"), vectors_of("dot", 5, seed=3)
    tensor = torch.from_numpy(vectors.copy()).requires_grad_()
    index = Approximate(DIM).fit(torch.arange(ITEMS) + 1000, tensor)
    expected = pair("dot")[0].search(queries, 9)
    with torch.no_grad():
        tensor.zero_()
    found = index.search(torch.from_numpy(queries), 9)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)
    strided = np.asfortranarray(np.repeat(queries, 2, axis=0))[::2]
    np.testing.assert_array_equal(index.search(strided, 9).ids, expected.ids)


def test_the_same_seed_gives_the_same_index_for_any_number_of_threads() -> None:
    vectors, queries = vectors_of("dot", 9000), vectors_of("dot", 800, seed=3)
    one, two, again = (
        Approximate(DIM, seed=4, threads=threads).fit(np.arange(9000), vectors) for threads in (1, 2, 1)
    )
    for other in (two, again):
        assert one.curve() == other.curve()
        np.testing.assert_array_equal(one.search(queries, 10).ids, other.search(queries, 10).ids)
        np.testing.assert_array_equal(one.search(queries, 10).scores, other.search(queries, 10).scores)
    different = Approximate(DIM, seed=5, threads=1).fit(np.arange(9000), vectors)
    assert one.curve() != different.curve()


def test_string_ids_come_back_as_they_went_in_with_none_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shortlist.index.leaves.FLAT_ROWS", 256)
    vectors = vectors_of("dot", 1000)
    ids = [f"item {i}" for i in range(1000)]
    index = Approximate(DIM).fit(ids, vectors)
    numbers = Approximate(DIM).fit(np.arange(1000), vectors)
    queries = vectors_of("dot", 6, seed=2)
    exclude = [[-7, *(int(i) for i in each)] for each in numbers.search(queries, 3).ids]
    expected = numbers.search(queries, 8, exclude=exclude).ids
    found = index.search(queries, 8, exclude=[[f"item {i}" for i in each] for each in exclude]).ids
    assert found.tolist() == [[f"item {i}" for i in each] for each in expected]
    few = index.search(queries, 8, where=np.arange(1000) < 2).ids
    assert {None, "item 0", "item 1"} == set(few[0])
    index.remove(["item 0"])
    index.add(["new"], vectors[:1])
    assert "item 0" not in index
    assert "new" in index.search(vectors[0], 1000).ids


@pytest.mark.parametrize("metric", METRICS)
def test_a_compact_index_keeps_the_codes_alone_and_still_gives_the_recall(
    metric: str, tmp_path: Path
) -> None:
    vectors, queries = vectors_of(metric), vectors_of(metric, QUERIES, seed=2)
    index = Approximate(DIM, metric=metric, compact=True).fit(np.arange(ITEMS) + 1000, vectors)
    full, exact = pair(metric)
    assert index.memory()["vectors"] == 0
    assert index.memory()["total"] < 0.65 * full.memory()["total"]
    best = exact.search(queries, ITEMS)
    found = index.search(queries, 10)
    assert share_found(found.ids, best.ids[:, :10]) >= 0.95 - NOISE[10]
    for ids, scores, all_ids, all_scores in zip(found.ids, found.scores, best.ids, best.scores, strict=True):
        by_id = dict(zip(all_ids.tolist(), all_scores.tolist(), strict=True))
        true = np.array([by_id[id_] for id_ in ids.tolist()])
        assert (np.abs(scores - true) <= 0.02 * np.ptp(all_scores)).all()
    index.save(tmp_path / "compact")
    loaded = Approximate.load(tmp_path / "compact")
    np.testing.assert_array_equal(loaded.search(queries, 10).ids, found.ids)
    assert loaded.memory() == index.memory()


def test_a_query_in_the_midst_of_the_items_finds_those_around_it() -> None:
    vectors = np.random.default_rng(4).standard_normal((20_000, 8)).astype(np.float32)
    queries = 0.1 * np.random.default_rng(6).standard_normal((50, 8)).astype(np.float32)
    approximate = Approximate(8, metric="l2").fit(np.arange(20_000), vectors)
    exact = BruteForce(8, metric="l2").fit(np.arange(20_000), vectors)
    found = approximate.search(queries, 10, effort=1200)
    assert share_found(found.ids, exact.search(queries, 10).ids) > 0.9
