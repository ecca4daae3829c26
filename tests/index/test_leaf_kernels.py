"""The kernels of the approximate index, each instruction set against the slow reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import exact_top_k, leaf_scores

from shortlist.index.leaf_frame import mirrors_to
from shortlist.index.leaves import LeafPlan, decoded, flat_part, lay_out
from shortlist.kernels.leaf_codes import BLOCK, NO_ROW, Frame, RowCodes, pack_rows
from shortlist.kernels.leaves import REACH, Part, search_parts

SIZES = [1, 2, 15, 16, 17, 63, 65, 130, 300]
DIMS = [1, 2, 3, 4, 5, 7, 8, 17, 64, 101]
BATCHES = [1, 2, 3, 4, 5, 9, 17]
KINDS = ["gaussian", "heavy", "long", "tied", "constant", "integers", "small", "zero", "some zero"]

EACH_SET = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def make(kind: str, n: int, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    plain = rng.standard_normal((n, dim))
    if kind == "heavy":
        plain *= rng.pareto(1.0, (n, 1)) + 0.01
    elif kind == "long":  # as long as an index takes, about
        plain *= 9e17 / np.linalg.norm(plain, axis=1, keepdims=True)
    elif kind == "tied":
        plain = plain[rng.integers(0, max(n // 20, 1), n)]
    elif kind == "constant":
        plain[:] = plain[:1]
    elif kind == "integers":
        plain = rng.integers(-2, 3, (n, dim)).astype(float)
    elif kind == "small":
        plain *= 1e-12
    elif kind == "zero":
        plain *= 0
    elif kind == "some zero":
        plain[rng.random(n) < 0.5] = 0
    return plain.astype(np.float32)


def somewhere(vectors: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A point about as far away as the vectors are, so that codes relative to it tell the same as ever."""
    return np.asarray(rng.standard_normal(vectors.shape[1]) * np.abs(vectors).max(), np.float32)


def mirrors_of(dim: int, fours: int, rng: np.random.Generator) -> NDArray[np.float32] | None:
    """Mirrors that turn four times as many directions to the front, but never all; None for none."""
    head = 4 * min(fours, (dim - 1) // 4)
    if head == 0:
        return None
    return mirrors_to(np.linalg.qr(rng.standard_normal((dim, head)))[0])


def in_leaves(
    vectors: NDArray[np.float32],
    leaves: int,
    metric: str,
    rng: np.random.Generator,
    frame: Frame | None = None,
) -> Part:
    """Vectors dealt to leaves at random; some leaves may stay empty."""
    frame = Frame(somewhere(vectors, rng)) if frame is None else frame
    members = rng.integers(0, leaves, len(vectors)).astype(np.uint32)
    centroids = rng.standard_normal((leaves, vectors.shape[1])).astype(np.float32)
    plan = LeafPlan(frame, centroids, np.zeros(leaves, np.float32), metric)
    return lay_out(vectors, members, plan, labels=None, threads=1)


@st.composite
def problems(draw: st.DrawFn) -> dict[str, object]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, dim, batch = draw(st.sampled_from(SIZES)), draw(st.sampled_from(DIMS)), draw(st.sampled_from(BATCHES))
    share, cut = draw(st.sampled_from([None, 0.0, 0.1, 0.5, 1.0])), draw(st.sampled_from([None, 0, 3, 200]))
    leaves = draw(st.sampled_from([0, 0, 1, 2, 7, 8, 9, 16, 17, 33]))
    metric = draw(st.sampled_from(["dot", "l2"]))
    vectors = make(draw(st.sampled_from(KINDS)), n, dim, rng)
    frame = Frame(somewhere(vectors, rng), mirrors_of(dim, draw(st.integers(0, dim // 4)), rng))
    part = (
        flat_part(vectors, frame=frame, metric=metric, labels=None, threads=1)
        if leaves == 0
        else in_leaves(vectors, leaves, metric, rng, frame)
    )
    queries = make(draw(st.sampled_from([*KINDS[:2], "integers", "small", "zero"])), batch, dim, rng)
    where = None if share is None else rng.random(n) < share
    exclude = None if cut is None else [rng.integers(-1, n + 5, cut).tolist() for _ in range(batch)]
    return {
        "vectors": vectors,
        "part": part if where is None else part.where(where),
        "queries": queries,
        "k": draw(st.sampled_from([1, 2, 10, 70])),
        "metric": metric,
        "where": where,
        "exclude": exclude,
    }


def as_offsets(exclude: list[list[int]] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    if exclude is None:
        return None
    lengths = [len(ids) for ids in exclude]
    return np.concatenate([np.zeros(0), *exclude]).astype(np.int64), np.cumsum([0, *lengths])


@EACH_SET
@given(problem=problems())
def test_looking_at_everything_and_keeping_everything_is_exact(
    instructions: str, problem: dict[str, object]
) -> None:
    vectors, queries, k = problem["vectors"], problem["queries"], problem["k"]
    options = {"metric": problem["metric"], "exclude": problem["exclude"], "where": problem["where"]}
    rows, scores = exact_top_k.top_k(vectors, queries, len(vectors), **options)
    rounded = scores.astype(
        np.float32
    )  # scores that differ only as doubles tie, and the lower row comes first
    ranked = np.lexsort((rows, -rounded), axis=1)[:, :k]
    width = ranked.shape[1]
    for part in (problem["part"], problem["part"].condensed()):
        found, scored = search_parts(
            [part],
            queries,
            k,
            metric=problem["metric"],
            effort=np.inf,
            keep=len(vectors),
            exclude=as_offsets(problem["exclude"]),
            threads=2,
        )
        np.testing.assert_array_equal(found[:, :width], np.take_along_axis(rows, ranked, 1))
        np.testing.assert_array_equal(scored[:, :width], np.take_along_axis(rounded, ranked, 1))
        assert (found[:, width:] == -1).all()
        assert np.isneginf(scored[:, width:]).all()


@EACH_SET
@given(
    kind=st.sampled_from(["gaussian", "heavy", "long", "integers", "some zero", "constant"]),
    n=st.sampled_from(SIZES),
    dim=st.sampled_from(DIMS),
    batch=st.sampled_from(BATCHES),
    metric=st.sampled_from(["dot", "l2"]),
    seed=st.integers(0, 2**32),
)
def test_scores_of_the_codes_are_those_of_the_reference(
    instructions: str, kind: str, n: int, dim: int, batch: int, metric: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors, queries = make(kind, n, dim, rng), make("heavy", batch, dim, rng)
    if metric == "l2" and kind == "long":
        vectors *= np.float32(1e-5)  # the ratio of a squared length to a query's step must be a float
    origin = somewhere(vectors, rng)
    part = flat_part(vectors, frame=Frame(origin), metric=metric, labels=None, threads=1)
    compact = Part(None, n, dim, None, part.rows, None, part.allowed)
    labels, scores = search_parts([compact], queries, n, metric=metric, effort=np.inf, keep=n, threads=1)
    steps = leaf_scores.QUERY_RANGE[instructions]
    expected = leaf_scores.scores_by_code(vectors, queries, metric, steps, origin)
    np.testing.assert_array_equal(np.sort(labels, axis=1), np.arange(n)[None].repeat(batch, 0))
    far = [queries - origin if metric == "l2" else queries, np.abs(vectors - origin) + np.abs(origin)]
    terms = [np.square(x.astype(np.float64)).sum(1) for x in far]
    largest = np.sqrt(terms[0][:, None] * terms[1]) + (metric == "l2") * (terms[0][:, None] + terms[1])
    error = np.abs(scores - np.take_along_axis(expected, labels, 1))
    assert (error <= 2e-6 * np.take_along_axis(largest, labels, 1) + 1e-30).all()


@pytest.mark.parametrize("dim", [1, 3, 4, 5, 64, 4096])
def test_codes_lie_where_the_reference_finds_them(dim: int) -> None:
    rng = np.random.default_rng(dim)
    vectors = make("heavy", 37, dim, rng)
    vectors[5] = 0
    order = np.full(64, NO_ROW)
    order[rng.permutation(64)[:37]] = rng.permutation(37)
    origin = somewhere(vectors, rng)
    origin[rng.random(dim) < 0.5] = 0
    vectors[6] = origin
    rows = pack_rows(vectors, order, frame=Frame(origin), metric="l2", threads=1)
    expected = [leaf_scores.code(vector, 127) for vector in vectors - origin]
    np.testing.assert_array_equal(
        leaf_scores.unpacked(rows.codes, order, 37, dim), [whole for whole, _ in expected]
    )
    there = order != NO_ROW
    units = np.array([unit for _, unit in expected])[order[there]]
    zero = order[there] == 6
    np.testing.assert_array_equal(rows.scale[there][~zero], units[~zero])
    assert np.isnan(rows.scale[~there]).all()
    squares = np.square(vectors - origin).sum(1)
    np.testing.assert_allclose(rows.bias[there], -0.5 * squares[order[there]], rtol=1e-5)
    place_of = rows.place_of
    np.testing.assert_array_equal(order[place_of], np.arange(37))


def test_what_codes_stand_for_is_the_vector_up_to_half_a_step() -> None:
    vectors = make("heavy", 333, 21, np.random.default_rng(1))
    origin = somewhere(vectors, np.random.default_rng(2))
    part = flat_part(vectors, frame=Frame(origin), metric="dot", labels=None, threads=1)
    steps = np.abs(vectors - origin).max(1, keepdims=True) / 127
    assert (np.abs(decoded(part) - vectors) <= 0.5001 * steps).all()
    assert (decoded(part) != vectors).any()


@pytest.mark.parametrize("metric", ["dot", "l2"])
@pytest.mark.parametrize("leaves", [3, 8, 17, 40, 100])
def test_the_leaves_looked_at_are_the_fewest_of_the_best_that_hold_the_effort(
    instructions: str, metric: str, leaves: int
) -> None:
    rng = np.random.default_rng(leaves)
    n, dim = 1500, 12
    centres = 3 * rng.standard_normal((leaves, dim))
    members = rng.integers(0, leaves, n).astype(np.uint32)
    widths = rng.uniform(0.2, 1.5, leaves)
    vectors = (centres[members] + widths[members, None] * rng.standard_normal((n, dim))).astype(np.float32)
    origin = somewhere(vectors / 3, rng)
    plan = LeafPlan(Frame(origin), np.zeros((leaves, dim), np.float32), np.zeros(leaves, np.float32), metric)
    part = lay_out(vectors, members, plan, labels=None, threads=1)
    queries = make("gaussian", 7, dim, rng)
    table, sizes = part.leaves, np.bincount(members, minlength=leaves)
    for query in queries:
        ranked = leaf_scores.leaves_in_order(
            table.centroids,
            table.spreads,
            query,
            metric,
            leaf_scores.QUERY_RANGE[instructions],
            REACH,
            origin,
        )
        for effort in (1, 200, 700):
            needed = int(np.searchsorted(np.cumsum(sizes[ranked]), effort)) + 1
            expected = np.flatnonzero(np.isin(members, ranked[:needed]))
            found, _ = search_parts(
                [part],
                query[None],
                len(expected),
                metric=metric,
                effort=effort,
                keep=len(expected),
                threads=1,
            )
            np.testing.assert_array_equal(np.sort(found[0]), expected)


@pytest.mark.parametrize("metric", ["dot", "l2"])
@pytest.mark.parametrize("keep", [1, 10, 40, 300])
def test_the_best_by_code_are_all_scored_in_full(instructions: str, metric: str, keep: int) -> None:
    rng = np.random.default_rng(keep)
    vectors, queries = make("gaussian", 3000, 16, rng), make("gaussian", 6, 16, rng)
    origin = somewhere(vectors, rng)
    part = flat_part(vectors, frame=Frame(origin), metric=metric, labels=None, threads=1)
    k = max(keep // 2, 1)
    found, scores = search_parts([part], queries, k, metric=metric, effort=np.inf, keep=keep, threads=1)
    steps = leaf_scores.QUERY_RANGE[instructions]
    by_code = leaf_scores.scores_by_code(vectors, queries, metric, steps, origin)
    exact = exact_top_k.scores_of(queries, vectors, metric)
    np.testing.assert_array_equal(scores, np.take_along_axis(exact, found, 1).astype(np.float32))
    for q in range(len(queries)):
        surely = np.argsort(-by_code[q])[: max(keep - 1, 1)]  # a tie of floats may go either way at the edge
        best = surely[np.argsort(-exact[q, surely])][:k]
        assert (np.sort(scores[q])[::-1][: len(best)] >= exact[q, best].astype(np.float32)).all()
        assert (np.diff(scores[q]) <= 0).all()


@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_several_parts_answer_as_one(instructions: str, metric: str) -> None:
    rng = np.random.default_rng(2)
    vectors, queries = make("gaussian", 700, 9, rng), make("gaussian", 11, 9, rng)
    labels = rng.permutation(5000)[:700].astype(np.int64)
    labels[:300].sort()
    labels[300:].sort()
    frame = Frame(somewhere(vectors, rng), mirrors_of(9, 4, rng))
    parts = [
        Part(some, len(some), 9, called, *_rest(in_leaves(some, 13, metric, rng, frame)))
        for some, called in ((vectors[:300], labels[:300]), (vectors[300:], labels[300:]))
    ]
    found, scores = search_parts(parts, queries, 20, metric=metric, effort=np.inf, keep=700, threads=1)
    rows, expected = exact_top_k.top_k(vectors, queries, 20, metric=metric)
    np.testing.assert_array_equal(found, labels[rows])
    np.testing.assert_array_equal(scores, expected.astype(np.float32))


def _rest(part: Part) -> tuple[RowCodes, object, NDArray[np.uint16]]:
    return part.rows, part.leaves, part.allowed


def test_condensing_keeps_the_allowed_of_each_leaf_and_nothing_else() -> None:
    rng = np.random.default_rng(4)
    vectors = make("gaussian", 900, 10, rng)
    part = in_leaves(vectors, 21, "l2", rng)
    mask = rng.random(900) < 0.07
    kept = part.where(mask)
    small = kept.condensed()
    assert kept.live == small.live == mask.sum()
    np.testing.assert_array_equal(np.sort(small.rows.order[small.rows.order != NO_ROW]), np.flatnonzero(mask))
    assert len(small.rows.order) < len(part.rows.order)
    np.testing.assert_array_equal(small.sizes, kept.sizes)
    assert len(small.rows.order) % BLOCK == 0
