"""What `ann` rests on: reading a curve, measuring a search, the sets, and the race's arithmetic."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from benchmarks.ann_curves import cheapest, fitted_exponent, geometric_ladder, settle
from benchmarks.ann_data import clustered, exact, prepared, replicated
from benchmarks.ann_measure import Measurement, measure, recall
from benchmarks.ann_peers import drop_forbidden, filtered_families
from benchmarks.ann_race import Outcome, repeated
from benchmarks.ann_recsys import recsys
from hypothesis import given
from hypothesis import strategies as st


def test_a_ladder_rises_by_the_ratio_and_ends_at_its_highest_rung() -> None:
    ladder = geometric_ladder(1, 1000, 1.5)
    assert (ladder[0], ladder[-1]) == (1, 1000)
    assert all(a < b <= max(a + 1, 1.5 * a + 0.5) for a, b in itertools.pairwise(ladder))
    assert geometric_ladder(7, 7) == [7]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60).map(sorted), st.floats(0, 1))
def test_the_cheapest_rung_is_the_first_that_reaches_the_recall(curve: list[float], target: float) -> None:
    ladder = range(len(curve))
    first = next((rung for rung in ladder if curve[rung] >= target), None)
    assert cheapest(lambda rung: Measurement(curve[rung], 1e6), ladder, target) == first


def test_a_curve_that_is_slower_than_a_better_choice_is_not_followed_to_its_end() -> None:
    asked: list[int] = []

    def slow(rung: int) -> Measurement:
        asked.append(rung)
        return Measurement(rung / 1000, 1000 / (1 + rung))

    assert cheapest(slow, range(1000), 0.9, floor=20.0) is None
    assert max(asked) < 60


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30).map(sorted), st.floats(0, 1), st.integers(min_value=0)
)
def test_settling_ends_on_the_first_rung_that_reaches_the_recall(
    curve: list[float], target: float, start: int
) -> None:
    ladder = range(len(curve))
    first = next((rung for rung in ladder if curve[rung] >= target), None)
    found = settle(lambda rung: Measurement(curve[rung], 1.0), ladder, start % len(curve), target)
    assert found == first


def test_the_exponent_of_a_power_law_is_found() -> None:
    sizes = [1e5, 1e6, 4e6]
    assert fitted_exponent(sizes, [3e-9 * size**0.55 for size in sizes]) == pytest.approx(0.55)


def test_recall_counts_each_true_row_once_wherever_it_stands() -> None:
    truth = np.array([[1, 2], [3, 4]])
    assert recall(np.array([[2, 1], [3, 3]]), truth) == 0.75
    assert recall(np.array([[-1, -1], [9, 9]]), truth) == 0.0


def test_queries_one_at_a_time_give_the_recall_of_the_batch_and_percentiles() -> None:
    base, queries = clustered(500, 8, clusters=5, spread=0.7, seed=0)
    queries = queries[:60]
    truth = exact(base, queries, "dot")[:, :10]

    def search(some: np.ndarray) -> np.ndarray:
        return np.argsort(-(some @ base[:400].T))[..., :10]

    batch = measure(search, queries, truth, single=False)
    single = measure(search, queries, truth, single=True)
    assert 0.5 < batch.recall == single.recall < 1.0
    assert 0 < single.p50 <= single.p99
    assert single.qps == pytest.approx(1e6 / single.p50)


def test_an_answer_with_too_few_rows_counts_as_missing_the_rest() -> None:
    truth = np.array([[0, 1, 2, 3]])
    found = measure(lambda query: np.array([1, 0]), np.zeros((1, 2), np.float32), truth, single=True)
    assert found.recall == 0.5


def test_over_fetching_keeps_the_first_allowed_rows_in_order() -> None:
    allowed = np.array([True, False, True, False, True])
    rows = np.array([[4, 1, 0, 2], [1, 3, 2, 1]])
    assert drop_forbidden(rows, allowed, 2).tolist() == [[4, 0], [2, -1]]


def test_over_fetching_asks_for_at_least_k_over_the_share_allowed() -> None:
    families = filtered_families([{"build": "a", "depth": 30, "ladder": [1, 9]}], 10, 0.01)
    assert all(each["fetch"] > 1000 and each["depth"] >= each["fetch"] for each in families)


def test_ours_over_the_best_peer_is_a_ratio_of_medians() -> None:
    rounds = {
        "ours": [Measurement(0.95, 300.0)] * 3,
        "a": [Measurement(0.95, 90.0), Measurement(0.95, 100.0), Measurement(0.95, 150.0)],
        "b": [Measurement(0.95, 80.0)] * 3,
    }
    outcome = Outcome(rounds, {"c": Measurement(0.96, 10.0)})
    figure = outcome.ratio("x_vs_best", 3.0)
    assert (figure.value, figure.unit, figure.holds) == (pytest.approx(3.0), "over a", True)
    assert figure.spread == pytest.approx((2.0, 300 / 90))
    names = [each.name for each in outcome.speeds("x")]
    assert names == ["x_ours", "x_a", "x_b", "x_c"]


def test_a_recall_that_ours_never_reaches_fails_its_target() -> None:
    outcome = Outcome({"a": [Measurement(0.99, 90.0)] * 3}, {})
    assert outcome.ratio("x_vs_best", 1.0).holds is False


def test_repeats_take_turns_and_the_warm_up_is_left_out() -> None:
    speeds = {"a": iter([1.0, 2.0, 3.0]), "b": iter([4.0, 5.0, 6.0])}
    rounds = repeated(
        {name: lambda name=name: Measurement(1.0, next(speeds[name])) for name in speeds}, repeats=2
    )
    assert [each.qps for each in rounds["a"]] == [2.0, 3.0]
    assert [each.qps for each in rounds["b"]] == [5.0, 6.0]


def test_a_prepared_set_is_made_once_and_its_answers_are_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANN_DATA", str(tmp_path))
    made = []

    def make() -> tuple[np.ndarray, np.ndarray]:
        made.append(1)
        base, query = clustered(300, 8, clusters=5, spread=0.7, seed=3)
        return base, query[:20]

    first = prepared("small", make, metric="l2")
    again = prepared("small", make, metric="l2")
    assert made == [1]
    distances = np.linalg.norm(again.query[:, None] - again.base[None], axis=2)
    assert (again.truth() == np.argsort(distances, axis=1)[:, :100]).all()
    where = first.add_filter(0.5)
    assert first.allowed(where)[first.truth(where)].all()
    distances[:, ~first.allowed(where)] = np.inf
    assert (first.truth(where)[:, :10] == np.argsort(distances, axis=1)[:, :10]).all()


def test_a_set_whose_making_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANN_DATA", str(tmp_path))
    base, query = clustered(50, 4, clusters=2, spread=0.7, seed=3)
    base[7] = np.nan
    with pytest.raises(ValueError, match="vector"):
        prepared("broken", lambda: (base, query))
    assert list(tmp_path.iterdir()) == []


def test_replicas_lie_a_tenth_of_their_length_from_the_vector_they_come_from() -> None:
    vectors = np.diag([1.0, 5.0, 25.0, 125.0]).astype(np.float32)
    many = replicated(vectors, 4000)
    origin = np.argmax(np.abs(many), axis=1)
    away = np.linalg.norm(many - vectors[origin], axis=1) / np.linalg.norm(vectors[origin], axis=1)
    assert np.bincount(origin, minlength=4).tolist() == [1000] * 4
    assert np.sqrt((away**2).mean()) == pytest.approx(0.1, rel=0.05)


def test_recsys_vectors_are_reproducible_and_few_large_ones_hold_most_answers() -> None:
    base, query = recsys(20_000, users=200)
    assert (recsys(20_000, users=200)[0] == base).all()
    assert np.linalg.norm(query, axis=1) == pytest.approx(1.0, abs=1e-5)
    large = np.argsort(-np.linalg.norm(base, axis=1))[:2000]
    assert np.isin(exact(base, query, "dot")[:, :10], large).mean() > 0.7
