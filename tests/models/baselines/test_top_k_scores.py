from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import baselines as slow

from shortlist.data.ragged import Ragged
from shortlist.models.baselines.top_k_scores import top_k_positions, top_k_scores

# Few distinct values, so that nearly every list has ties, at the last place too.
ROWS = st.integers(1, 9).flatmap(
    lambda width: st.lists(
        st.lists(st.sampled_from([-1.5, -0.0, 0.0, 0.5, 2.0]), min_size=width, max_size=width),
        min_size=1,
        max_size=4,
    )
)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, k=st.integers(1, 12))
def test_the_best_positions_equal_the_slow_reference(rows, k):
    assert top_k_positions(torch.tensor(rows), k).tolist() == [slow.top_k(row, k) for row in rows]


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, k=st.integers(1, 12), data=st.data())
def test_excluded_items_are_passed_over_and_places_left_empty(rows, k, data):
    items = [3 * position + 2 for position in range(len(rows[0]))]
    exclude = data.draw(
        st.lists(st.lists(st.integers(0, 40), max_size=12), min_size=len(rows), max_size=len(rows))
    )
    found, scores = top_k_scores(
        torch.tensor(rows), torch.tensor(items), k, exclude=Ragged.from_lists(exclude)
    )
    for row, hidden, got, values in zip(rows, exclude, found.tolist(), scores.tolist(), strict=True):
        left = [(item, score) for item, score in zip(items, row, strict=True) if item not in hidden]
        best = [left[position] for position in slow.top_k([score for _, score in left], k)]
        best += [(0, -torch.inf)] * (min(k, len(items)) - len(best))
        assert list(zip(got, values, strict=True)) == best


def test_a_thousand_tied_scores_come_in_the_order_of_the_columns():
    scores = torch.zeros(3, 5000)
    scores[1, 4000] = 1
    assert top_k_positions(scores, 1000)[0].tolist() == list(range(1000))
    assert top_k_positions(scores, 1000)[1].tolist() == [4000, *range(999)]


def test_no_column_gives_no_result():
    found, scores = top_k_scores(
        torch.zeros(2, 0), torch.zeros(0, dtype=torch.int64), 3, exclude=Ragged.empty(2)
    )
    assert found.shape == scores.shape == (2, 0)
