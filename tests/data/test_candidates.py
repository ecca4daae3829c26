"""Lists of candidates, as columns, behave like lists of pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import shortlist as sl
from shortlist.data.candidates import Candidates
from shortlist.errors import ShapeError

lists = st.lists(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from([-1.0, 0.0, 0.5, 2.0])), max_size=6), max_size=5
)


def build(rows: list[list[tuple[int, float]]]) -> Candidates:
    items = sl.Ragged.from_lists([[item for item, _ in row] for row in rows])
    scores = torch.tensor([score for row in rows for _, score in row])
    numbers = torch.arange(len(scores))
    return Candidates(items, scores, numbers, {"number": numbers, "half": scores / 2})


def pairs(candidates: Candidates) -> list[list[tuple[int, float]]]:
    assert candidates.features["half"].equal(candidates.scores / 2)
    assert candidates.features["number"].equal(candidates.sources)
    rows = sl.Ragged(candidates.scores, candidates.items.offsets).to_lists()
    return [list(zip(*row, strict=True)) for row in zip(candidates.items.to_lists(), rows, strict=True)]


@given(lists)
@settings(max_examples=60, deadline=None)
def test_sorting_puts_the_best_first_and_ties_by_lower_item(rows):
    assert pairs(build(rows).sorted()) == [sorted(row, key=lambda pair: (-pair[1], pair[0])) for row in rows]


@given(lists, st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_the_best_of_each_list_are_the_first_once_sorted(rows, k):
    assert pairs(build(rows).best(k)) == [
        sorted(row, key=lambda pair: (-pair[1], pair[0]))[:k] for row in rows
    ]


@given(st.integers(0, 999), st.sampled_from([2, 63, 64, 65, 700]), st.sampled_from([1, 5, 1000]))
@settings(max_examples=60, deadline=None)
def test_long_lists_of_any_scores_are_sorted_as_numpy_sorts_them(seed, size, k):
    random = np.random.default_rng(seed)
    odd = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-40, -1e-40], np.float32)
    scores = np.concatenate([np.round(random.normal(size=size), 1).astype(np.float32), odd])
    random.shuffle(scores)
    items = random.permutation(len(scores)) + 1
    order = np.lexsort((items, -scores))[:k]
    numbers = torch.arange(len(scores))
    found = Candidates(
        sl.Ragged.from_lists([items.tolist(), []]), torch.from_numpy(scores), numbers, {"number": numbers}
    ).best(k)
    assert found.sources.tolist() == order.tolist()
    assert found.items.to_lists() == [items[order].tolist(), []]


@given(lists, st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_the_top_of_each_list_are_its_first_ones(rows, k):
    top = build(rows).top(k)
    assert pairs(top) == [row[:k] for row in rows]
    assert top.lengths.tolist() == [min(k, len(row)) for row in rows]
    assert len(top) == len(rows)


@given(lists)
@settings(max_examples=60, deadline=None)
def test_dropping_by_a_mask_keeps_the_order(rows):
    candidates = build(rows)
    kept = candidates.keep(candidates.items.values % 2 == 0)
    assert pairs(kept) == [[pair for pair in row if pair[0] % 2 == 0] for row in rows]
    assert kept.row_ids().tolist() == [number for number, row in enumerate(pairs(kept)) for _ in row]


@given(lists, lists)
@settings(max_examples=40, deadline=None)
def test_stacking_is_putting_lists_one_after_another(one, other):
    stacked = Candidates.concatenate([build(one), build(other)])
    assert stacked.items.to_lists() == build(one + other).items.to_lists()
    assert stacked.scores.equal(build(one + other).scores)
    assert stacked.features["half"].equal(stacked.scores / 2)


def test_new_scores_leave_the_items_and_add_columns():
    candidates = build([[(3, 1.0), (4, 2.0)]])
    again = candidates.with_scores(torch.tensor([9.0, 8.0]), extra=torch.tensor([1, 2]))
    assert again.items is candidates.items
    assert again.scores.tolist() == [9.0, 8.0]
    assert set(again.features) == {"number", "half", "extra"}
    assert set(candidates.features) == {"number", "half"}


def test_a_rectangle_of_results_loses_its_empty_places():
    items, scores = torch.tensor([[5, 3, 0], [0, 0, 0]]), torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    candidates = Candidates.from_padded(items, scores, source=2)
    assert candidates.items.to_lists() == [[5, 3], []]
    assert candidates.scores.tolist() == [2.0, 1.0]
    assert candidates.sources.tolist() == [4, 4]


@pytest.mark.parametrize("column", ["scores", "sources", "price"])
def test_a_column_of_a_wrong_length_is_named(column):
    columns = {name: torch.zeros(2) for name in ("scores", "sources", "price")} | {column: torch.zeros(3)}
    with pytest.raises(ShapeError, match=rf"^{column} has 3 values for 2 candidates"):
        Candidates(
            sl.Ragged.from_lists([[1, 2]]), columns["scores"], columns["sources"], {"price": columns["price"]}
        )
