"""The curve of recall by effort: how it is measured, read and used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.clustered import clustered, share_found

from shortlist.errors import NotFittedError
from shortlist.index import Approximate, BruteForce
from shortlist.index.effort import EffortCurve, kept_for
from shortlist.index.leaf_filter import scaled_effort
from shortlist.index.leaf_trial import likely_queries, recall

N, DIM = 5000, 16
METRICS = ["dot", "cosine", "l2"]


@pytest.fixture(scope="module", params=METRICS)
def index(request: pytest.FixtureRequest) -> Approximate:
    return Approximate(DIM, metric=request.param).fit(np.arange(N), clustered(N, DIM, 1, spread=0.3))


@pytest.mark.parametrize("k", [1, 10, 30, 100, 5000])
def test_the_curve_ascends_from_little_effort_to_everything(index: Approximate, k: int) -> None:
    efforts, recalls = zip(*index.curve(k), strict=True)
    assert len(efforts) > 5
    assert list(efforts) == sorted(set(efforts))
    assert list(recalls) == sorted(recalls)
    assert efforts[-1] == N
    assert recalls[0] < 0.95 < recalls[-1] <= 1


def test_the_curve_is_read_at_the_measured_k_nearest_to_the_one_asked_for(index: Approximate) -> None:
    assert index.curve(1) == index.curve(10) == index.curve(25)
    assert index.curve(50) == index.curve(100)
    assert index.curve(10) != index.curve(100)


def test_an_index_that_always_looks_at_everything_says_so() -> None:
    small = Approximate(DIM).fit(np.arange(300), clustered(300, DIM, 1))
    assert small.curve() == [(300, 1.0)]
    small.add([300], clustered(1, DIM, 2))
    assert small.curve() == [(301, 1.0)]
    with pytest.raises(NotFittedError):
        Approximate(DIM).curve()


@pytest.mark.parametrize("metric", METRICS)
def test_a_higher_recall_asked_for_takes_more_effort_and_finds_more(metric: str) -> None:
    vectors, queries = clustered(N, DIM, 1, spread=0.3), clustered(300, DIM, 2)
    best = BruteForce(DIM, metric=metric).fit(np.arange(N), vectors).search(queries, 10).ids
    index = Approximate(DIM, metric=metric).fit(np.arange(N), vectors)
    efforts, found = [], []
    for wanted in (0.7, 0.9, 0.97, 0.995):
        index.recall = wanted
        state = index._fitted()
        efforts.append(index._effort(state, 10, 1.0))
        found.append(share_found(index.search(queries, 10).ids, best))
        assert found[-1] >= wanted - 0.03
    assert efforts == sorted(set(efforts))
    assert found[0] < found[-1]


def test_the_recall_of_the_constructor_is_the_one_used() -> None:
    vectors, queries = clustered(N, DIM, 1), clustered(300, DIM, 2)
    low, high = (Approximate(DIM, recall=share).fit(np.arange(N), vectors) for share in (0.6, 0.99))
    assert low.curve() == high.curve()
    best = BruteForce(DIM).fit(np.arange(N), vectors).search(queries, 10).ids
    assert share_found(low.search(queries, 10).ids, best) < share_found(high.search(queries, 10).ids, best)


def test_the_curve_holds_for_the_queries_that_the_caller_gave() -> None:
    vectors = clustered(N, DIM, 1)
    rng = np.random.default_rng(3)
    hard = rng.standard_normal((300, DIM)).astype(np.float32)  # far from every cluster
    easy = clustered(300, DIM, 2)
    by_hard, by_easy = (Approximate(DIM).fit(np.arange(N), vectors, queries=some) for some in (hard, easy))
    assert by_hard.curve() != by_easy.curve() != Approximate(DIM).fit(np.arange(N), vectors).curve()
    best = BruteForce(DIM).fit(np.arange(N), vectors).search(hard, 10).ids
    for effort, promised in by_hard.curve():
        found = share_found(by_hard.search(hard, 10, effort=effort).ids, best)
        assert found == pytest.approx(promised, abs=0.011)


def test_no_queries_to_measure_with_are_as_none() -> None:
    vectors = clustered(N, DIM, 1)
    nothing = Approximate(DIM).fit(np.arange(N), vectors, queries=np.zeros((0, DIM), np.float32))
    assert nothing.curve() == Approximate(DIM).fit(np.arange(N), vectors).curve()


@st.composite
def curves(draw: st.DrawFn) -> EffortCurve:
    points = draw(st.integers(1, 8))
    efforts = np.cumsum(draw(st.lists(st.floats(1, 1000), min_size=points, max_size=points)))
    rows = st.lists(st.floats(0, 1), min_size=points, max_size=points).map(sorted)
    depths = draw(st.sampled_from([(1,), (10,), (10, 100), (10, 100, 1000)]))
    return EffortCurve(depths, efforts, np.array([draw(rows) for _ in depths]))


@settings(max_examples=200, deadline=None)
@given(curve=curves(), k=st.integers(1, 100_000), low=st.floats(0.01, 1), high=st.floats(0.01, 1))
def test_the_effort_grows_with_the_recall_and_never_falls_below_twice_k(
    curve: EffortCurve, k: int, low: float, high: float
) -> None:
    less, more = (curve.effort_for(k, wanted) for wanted in sorted([low, high]))
    assert 2 * k <= less <= more * (1 + 1e-9)
    assert np.isfinite(more)


@settings(max_examples=100, deadline=None)
@given(curve=curves(), wanted=st.floats(0.01, 1))
def test_the_effort_at_a_measured_k_lies_between_the_points_around_the_recall(
    curve: EffortCurve, wanted: float
) -> None:
    for depth, k in enumerate(curve.depths):
        effort, recalls = curve.effort_for(k, wanted), curve.recalls[depth]
        above = curve.efforts[recalls >= wanted]
        below = curve.efforts[recalls < wanted]
        upper = above[0] if len(above) else curve.efforts[-1]
        lower = below[-1] if len(below) and len(above) else (upper if len(below) else curve.efforts[0])
        assert max(lower, 2 * k) * (1 - 1e-9) <= effort <= max(upper, 2 * k) * (1 + 1e-9)


@settings(max_examples=50, deadline=None)
@given(curve=curves())
def test_a_curve_written_and_read_is_the_same(curve: EffortCurve) -> None:
    again = EffortCurve.from_json(curve.to_json())
    assert again.depths == curve.depths
    np.testing.assert_array_equal(again.efforts, curve.efforts)
    np.testing.assert_array_equal(again.recalls, curve.recalls)


def test_what_is_no_curve_is_refused() -> None:
    good = EffortCurve((10,), np.array([64.0, 100.0]), np.array([[0.5, 1.0]])).to_json()
    for damage in (
        {"depths": []},
        {"efforts": []},
        {"recalls": [[0.5]]},
        {"recalls": [[0.5, 1.5]]},
        {"efforts": [0.0, 100.0]},
        {"efforts": [float("nan"), 100.0]},
        {"depths": [0]},
    ):
        with pytest.raises(ValueError, match="curve"):
            EffortCurve.from_json({**good, **damage})


def test_recall_counts_what_was_found_of_what_exists() -> None:
    exact = np.array([[1, 2, 3], [4, 5, -1]])
    assert recall(exact, exact) == 1
    assert recall(np.array([[3, 9, 1], [-1, -1, -1]]), exact) == 2 / 5
    assert recall(np.full((2, 3), -1), exact) == 0
    assert recall(exact, np.full((2, 3), -1)) == 0


@given(k=st.integers(1, 10_000))
def test_more_are_scored_in_full_than_are_returned(k: int) -> None:
    assert k < kept_for(k) <= kept_for(k + 1)


@given(
    effort=st.floats(1, 1e6),
    shares=st.tuples(st.floats(1e-6, 1), st.floats(1e-6, 1)),
    live=st.integers(1, 10**7),
)
def test_a_narrower_filter_needs_less_effort_but_a_larger_share_of_what_it_allows(
    effort: float, shares: tuple[float, float], live: int
) -> None:
    narrow, wide = sorted(shares)
    less, more = scaled_effort(effort, narrow, live), scaled_effort(effort, wide, live)
    assert less <= max(more, effort, 2048)
    if wide < 1:
        assert less <= narrow * live
        assert less / narrow >= more / wide * (1 - 1e-9)
    assert scaled_effort(effort, 1.0, live) == effort


@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_likely_queries_are_finite_and_the_same_for_a_seed(metric: str) -> None:
    vectors = clustered(500, DIM, 1)
    vectors[:100] = 0
    queries = likely_queries(vectors, metric=metric, seed=3)
    assert queries.shape == (512, DIM)
    assert queries.dtype == np.float32
    assert np.isfinite(queries).all()
    np.testing.assert_array_equal(queries, likely_queries(vectors, metric=metric, seed=3))
    assert (queries != likely_queries(vectors, metric=metric, seed=4)).any()
