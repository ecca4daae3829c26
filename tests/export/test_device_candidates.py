"""The best rows of a device: those of a full sort, however few are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.export.device.candidates import best_rows
from shortlist.export.device.retrieval import Popular, retrieve

NONE = np.zeros(1, np.int64)  # the unknown item alone


def sorted_rows(scores: np.ndarray, k: int, allowed: np.ndarray) -> list[int]:
    order = np.argsort(-scores, kind="stable")
    return order[allowed[order]][:k].tolist()


@given(
    rows=st.integers(1, 400),
    k=st.integers(1, 30),
    blocked=st.floats(0, 1),
    values=st.sampled_from([2, 10, 1_000_000]),
    seed=st.integers(0, 1000),
)
def test_the_best_rows_are_those_of_a_stable_sort(rows, k, blocked, values, seed):
    random = np.random.default_rng(seed)
    scores = random.integers(0, values, rows).astype(np.float32)
    allowed = random.random(rows) >= blocked
    found = best_rows(scores.copy(), k, np.flatnonzero(~allowed))
    assert found.rows.tolist() == sorted_rows(scores, k, allowed)
    assert np.array_equal(found.scores, scores[found.rows])


@pytest.mark.parametrize("descending", [False, True])
def test_rows_in_order_of_their_scores_are_found_too(descending):
    scores = np.arange(5000, dtype=np.float32)[:: -1 if descending else 1]
    allowed = np.arange(5000) > 0
    assert best_rows(scores.copy(), 12, NONE).rows.tolist() == sorted_rows(scores, 12, allowed)


def test_one_retriever_that_nothing_follows_gives_no_more_than_is_asked_for():
    scores = np.arange(100, dtype=np.float32)
    one = Popular("popular", 50, scores)
    alone = retrieve([one], [one], at_least=12, barred=NONE, last=True)
    followed = retrieve([one], [one], at_least=12, barred=NONE)
    assert len(followed) == 50
    assert alone.rows.tolist() == followed.rows[:12].tolist()
    both = retrieve([one, one], [one, one], at_least=12, barred=NONE, last=True)
    assert both.rows.tolist() == followed.rows.tolist()
