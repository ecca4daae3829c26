"""Codes that are cut: a search reads the heads of all vectors, and the rest of the likely ones."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.clustered import share_found, sloping
from tests.reference import leaf_scores

from shortlist.index import Approximate, BruteForce
from shortlist.index.leaf_frame import frame_of, head_length, mirrors_to
from shortlist.index.leaves import LeafPlan, decoded, flat_part, lay_out, leaf_of_rows
from shortlist.kernels.leaf_codes import NO_ROW, Frame, pack_rows, squared_rests
from shortlist.kernels.leaves import Part, search_parts

DIM, ITEMS, QUERIES = 128, 6000, 300
METRICS = ["dot", "cosine", "l2"]


def directions(dim: int, head: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.linalg.qr(rng.standard_normal((dim, head)))[0]


def cut_part(
    vectors: NDArray[np.float32], leaves: int, metric: str, head: int, seed: int, *, slack: float = 6.0
) -> Part:
    """Vectors dealt to leaves at random, along axes drawn at random."""
    rng = np.random.default_rng(seed)
    dim = vectors.shape[1]
    frame = Frame(rng.standard_normal(dim).astype(np.float32), mirrors_to(directions(dim, head, rng)))
    members = rng.integers(0, leaves, len(vectors)).astype(np.uint32)
    centroids = rng.standard_normal((leaves, dim)).astype(np.float32)
    plan = LeafPlan(frame, centroids, np.zeros(leaves, np.float32), metric, slack=slack)
    return lay_out(vectors, members, plan, labels=None, threads=1)


def gaussian(n: int, dim: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(dim=st.integers(1, 60), seed=st.integers(0, 2**32), data=st.data())
def test_mirrors_turn_the_chosen_directions_to_the_first_axes_and_keep_all_lengths(
    dim: int, seed: int, data: st.DataObject
) -> None:
    head = data.draw(st.integers(1, dim), "head")
    chosen = directions(dim, head, np.random.default_rng(seed))
    frame = Frame(np.zeros(dim, np.float32), mirrors_to(chosen))
    assert frame.turned == head
    np.testing.assert_allclose(frame.axes @ frame.axes.T, np.eye(dim), atol=1e-5)
    np.testing.assert_allclose(np.abs(frame.axes[:head] @ chosen), np.eye(head), atol=1e-5)


def test_mirrors_that_have_nothing_to_turn_leave_the_axes_as_they_are() -> None:
    frame = Frame(np.zeros(6, np.float32), mirrors_to(np.eye(6)[:, :2]))
    np.testing.assert_allclose(np.abs(frame.axes), np.eye(6), atol=1e-6)


@pytest.mark.parametrize(("dim", "head"), [(5, 4), (9, 4), (64, 32), (67, 16), (130, 96)])
def test_codes_are_those_of_the_turned_vector_the_first_in_blocks_and_the_others_row_by_row(
    instructions: str, dim: int, head: int
) -> None:
    rng = np.random.default_rng(dim)
    vectors = gaussian(37, dim, 1) * rng.pareto(1.0, (37, 1)).astype(np.float32)
    order = np.full(64, NO_ROW)
    order[rng.permutation(64)[:37]] = rng.permutation(37)
    frame = Frame(gaussian(1, dim, 2)[0], mirrors_to(directions(dim, head, rng)))
    rows = pack_rows(vectors, order, frame=frame, metric="l2", head=head, threads=1)
    there = order != NO_ROW
    heads = leaf_scores.unpacked(rows.codes, order, 37, head)
    assert rows.rest is not None
    rest = np.zeros((37, rows.rest.shape[1]), np.int64)
    rest[order[there]] = rows.rest[there].astype(np.int64) - 128
    assert (rows.rest[~there] == 128).all()
    turned = (vectors - frame.origin).astype(np.float64) @ frame.axes.T.astype(np.float64)
    scale = np.zeros((37, 1))
    scale[order[there], 0] = rows.scale[there]
    np.testing.assert_allclose(scale[:, 0], np.abs(turned).max(1) / 127, rtol=1e-4)
    whole = np.concatenate([heads, rest], axis=1)
    assert (np.abs(whole[:, :dim] * scale - turned) <= 0.51 * scale).all()
    assert (whole[:, dim:] == 0).all()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.sampled_from([1, 17, 64, 300]),
    dim=st.sampled_from([5, 8, 33, 64, 101, 200]),
    leaves=st.sampled_from([1, 3, 16, 40]),
    metric=st.sampled_from(["dot", "l2"]),
    batch=st.sampled_from([1, 2, 5, 9]),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_cut_codes_score_as_whole_ones(
    instructions: str, n: int, dim: int, leaves: int, metric: str, batch: int, seed: int, data: st.DataObject
) -> None:
    head = 4 * data.draw(st.integers(1, (dim - 1) // 4), "fours")
    vectors, queries = gaussian(n, dim, seed), gaussian(batch, dim, seed + 1)
    cut = cut_part(vectors, leaves, metric, head, seed)
    whole = flat_part(vectors, frame=cut.rows.frame, metric=metric, labels=None, threads=1)
    answers = []
    for part in (cut, cut.condensed(), whole):
        compact = Part(None, n, dim, None, part.rows, part.leaves, part.allowed)
        labels, scores = search_parts([compact], queries, n, metric=metric, effort=np.inf, keep=n, threads=1)
        assert (np.sort(labels, axis=1) == np.arange(n)).all()
        answers.append(np.take_along_axis(scores, np.argsort(labels, axis=1), 1))
    np.testing.assert_allclose(answers[0], answers[2], rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(answers[0], answers[1])


@pytest.mark.parametrize("metric", ["dot", "l2"])
@pytest.mark.parametrize("batch", [1, 6])
def test_with_slack_enough_the_rows_kept_are_those_of_whole_codes(
    instructions: str, metric: str, batch: int
) -> None:
    vectors, queries = gaussian(3000, 40, 1), gaussian(batch, 40, 2)
    cut = cut_part(vectors, 30, metric, 12, 3, slack=1e3)
    whole = flat_part(vectors, frame=cut.rows.frame, metric=metric, labels=None, threads=1)
    found, expected = (
        search_parts([part], queries, 10, metric=metric, effort=np.inf, keep=40, threads=1)
        for part in (cut, whole)
    )
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_less_slack_passes_over_more() -> None:
    vectors, queries = gaussian(3000, 40, 1), gaussian(200, 40, 2)
    best = BruteForce(40).fit(np.arange(3000), vectors).search(queries, 10).ids
    shares = []
    for slack in (0.0, 1.0, 2.0, 4.0, 100.0):
        cut = cut_part(vectors, 30, "dot", 12, 3, slack=slack)
        found, _ = search_parts([cut], queries, 10, metric="dot", effort=np.inf, keep=18, threads=1)
        shares.append(share_found(found, best))
    assert shares == sorted(shares)
    assert shares[0] < 0.9
    assert shares[-1] > 0.999


def test_spreads_of_the_rest_are_the_root_mean_squares_beyond_the_head() -> None:
    vectors = gaussian(500, 20, 1)
    part = cut_part(vectors, 7, "dot", 8, 2)
    assert part.leaves is not None
    assert part.leaves.rest_spreads is not None
    frame, leaf_of = part.rows.frame, leaf_of_rows(part)
    rest = (vectors - frame.origin).astype(np.float64) @ frame.axes[8:].T.astype(np.float64)
    np.testing.assert_allclose(squared_rests(vectors, frame), np.square(rest).sum(1), rtol=1e-4)
    for leaf in range(7):
        some = rest[leaf_of == leaf]
        expected = np.sqrt(np.square(some - some.mean(0)).sum(1).mean() / 12)
        np.testing.assert_allclose(part.leaves.rest_spreads[leaf], expected, rtol=1e-3)


def test_what_cut_codes_stand_for_is_the_vector_up_to_the_steps_of_its_codes() -> None:
    vectors = gaussian(300, 50, 4)
    part = cut_part(vectors, 9, "dot", 16, 5)
    steps = np.full(300, np.nan, np.float32)
    there = part.rows.order != NO_ROW
    steps[part.rows.order[there]] = part.rows.scale[there]
    off = np.linalg.norm(decoded(part) - vectors, axis=1)
    assert (off <= 0.51 * np.sqrt(50) * steps).all()
    assert (off > 0).all()


@pytest.mark.parametrize(
    ("variances", "expected"),
    [
        (np.ones(256), 0),
        (1.0 / np.arange(1, 257), 64),
        (1.0 / np.arange(1, 257) ** 2, 32),
        (np.where(np.arange(256) < 40, 1.0, 0.0), 64),
        (np.zeros(256), 0),
        (np.where(np.arange(256) < 200, 1.0, 0.0), 0),
    ],
    ids=["alike", "falling", "steep", "few", "none", "many"],
)
def test_a_head_is_as_long_as_nearly_all_of_the_scores_take_or_there_is_none(
    variances: NDArray[np.float64], expected: int
) -> None:
    assert head_length(variances) == expected


def test_vectors_that_spread_alike_or_are_narrow_keep_their_axes() -> None:
    assert frame_of(gaussian(1000, 160, 1), seed=0).mirrors is None
    assert frame_of(sloping(1000, 64, 1), seed=0).mirrors is None
    assert frame_of(np.ones((1000, 160), np.float32), seed=0).mirrors is None
    assert frame_of(sloping(1000, 160, 1), seed=0).turned in (32, 64)


@cache
def pair(metric: str, compact: bool = False) -> tuple[Approximate, BruteForce]:
    """An index with cut codes and the exact one of the same items, which no test may change."""
    vectors, ids = sloping(ITEMS, DIM, 1), np.arange(ITEMS) + 1000
    items = pl.DataFrame({"rank": np.random.default_rng(5).permutation(ITEMS)})
    index = Approximate(DIM, metric=metric, compact=compact).fit(ids, vectors, items=items)
    return index, BruteForce(DIM, metric=metric).fit(ids, vectors, items=items)


def is_cut(index: Approximate) -> bool:
    return index._fitted().base.rows.rest is not None


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_recall_is_the_one_asked_for_one_query_at_a_time_and_together(metric: str, k: int) -> None:
    index, exact = pair(metric)
    assert is_cut(index)
    queries = sloping(QUERIES, DIM, 2)
    best = exact.search(queries, k).ids
    together = index.search(queries, k).ids
    alone = np.stack([index.search(query, k).ids for query in queries])
    for found in (together, alone):
        assert share_found(found, best) >= 0.95 - {1: 0.045, 10: 0.025, 100: 0.02}[k]
    assert index.curve(k)[0][1] < 0.95


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("compact", [False, True])
def test_looking_at_everything_finds_nearly_all(metric: str, compact: bool) -> None:
    index, exact = pair(metric, compact)
    queries = sloping(QUERIES, DIM, 2)
    found, best = index.search(queries, 10, effort=ITEMS), exact.search(queries, 10)
    assert share_found(found.ids, best.ids) >= (0.95 if compact else 0.99)
    assert is_cut(index)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_filters_and_exclusions_hold_and_the_recall_with_them(metric: str, share: float) -> None:
    index, exact = pair(metric)
    queries, where = sloping(100, DIM, 2), pl.col("rank") < share * ITEMS
    excluded = exact.search(queries, 5, where=where).ids.tolist()
    mask = np.isin(index.ids, exact.search(queries[0], ITEMS, where=where).ids)
    best = exact.search(queries, 10, where=where, exclude=excluded).ids
    for some in (where, mask):
        found = index.search(queries, 10, where=some, exclude=excluded).ids
        assert share_found(found, best) >= 0.92
        assert np.isin(found, index.ids[mask]).all()
        assert not any(set(a) & set(b) for a, b in zip(found.tolist(), excluded, strict=True))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("compact", [False, True])
def test_what_is_added_and_updated_is_coded_along_the_same_axes_and_joins_the_leaves(
    metric: str, compact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shortlist.index.joiner.FRESH_ROWS", 500)
    vectors, queries = sloping(ITEMS, DIM, 1), sloping(100, DIM, 2)
    index = Approximate(DIM, metric=metric, compact=compact).fit(np.arange(4000), vectors[:4000])
    changed = np.r_[:400, 600:1000]
    vectors[changed] = sloping(800, DIM, 3)
    for some in (changed[:400], changed[400:]):
        index.update(some, vectors[some])
        index.add(some + 4000, vectors[some + 4000])
        index.settle()
    held = np.sort(index.ids)
    exact = BruteForce(DIM, metric=metric).fit(held, vectors[held])
    assert is_cut(index)
    found = index.search(queries, 10, effort=ITEMS).ids
    assert share_found(found, exact.search(queries, 10).ids) >= (0.93 if compact else 0.985)
