"""Rows of different lengths in two flat tensors."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.ragged import Ragged, gather_windows, offsets_from_lengths
from shortlist.errors import DataError, ShapeError

lists = st.lists(st.lists(st.integers(-9, 9), max_size=5), max_size=8)


@given(lists)
@settings(max_examples=60, deadline=None)
def test_lists_come_back_as_they_were(rows):
    ragged = Ragged.from_lists(rows)
    assert ragged.to_lists() == rows
    assert [row.tolist() for row in (ragged[i] for i in range(len(ragged)))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.row_ids().tolist() == [number for number, row in enumerate(rows) for _ in row]
    assert ragged.positions().tolist() == [place for row in rows for place in range(len(row))]


@given(lists, st.data())
@settings(max_examples=60, deadline=None)
def test_taking_rows_is_indexing_the_lists(rows, data):
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)) if rows else []
    taken = Ragged.from_lists(rows).take(torch.tensor(chosen, dtype=torch.int64))
    assert taken.to_lists() == [rows[row] for row in chosen]


@given(lists, st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_padding_cuts_ends_and_fills_up(rows, length):
    expected = [(row + [-1] * length)[:length] for row in rows]
    assert Ragged.from_lists(rows).to_padded(length, value=-1).tolist() == expected


@given(st.lists(st.one_of(st.none(), st.lists(st.integers(-9, 9), max_size=4)), max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_column_of_lists_is_a_ragged_and_null_is_empty(rows):
    series = pl.Series(rows, dtype=pl.List(pl.Int64))
    assert Ragged.from_series(series).to_lists() == [row or [] for row in rows]


def test_a_column_with_a_null_inside_a_list_is_refused():
    with pytest.raises(DataError, match=r"'tags'.*nulls"):
        Ragged.from_series(pl.Series("tags", [[1, None]]))


@pytest.mark.parametrize("values", [[["a"]], [1, 2]])
def test_a_column_that_holds_no_lists_of_numbers_is_refused(values):
    with pytest.raises(DataError, match="lists of numbers"):
        Ragged.from_series(pl.Series("tags", values))


def test_concatenating_stacks_the_rows():
    parts = [Ragged.from_lists([[1], []]), Ragged.from_lists([[2, 3]])]
    assert Ragged.concatenate(parts).to_lists() == [[1], [], [2, 3]]


def test_windows_may_overlap():
    windows = gather_windows(torch.arange(5), torch.tensor([0, 1, 4]), torch.tensor([3, 3, 0]))
    assert windows.to_lists() == [[0, 1, 2], [1, 2, 3], []]


def test_offsets_are_running_totals():
    assert offsets_from_lengths(torch.tensor([2, 0, 3])).tolist() == [0, 2, 2, 5]


def test_values_may_have_further_dimensions():
    ragged = Ragged(torch.arange(6).reshape(3, 2), torch.tensor([0, 1, 3]))
    assert ragged.to_padded(2).shape == (2, 2, 2)
    assert ragged.take(torch.tensor([1])).values.tolist() == [[2, 3], [4, 5]]


def test_empty_rows_have_no_values():
    ragged = Ragged.empty(3)
    assert ragged.to_lists() == [[], [], []]
    assert ragged.to("cpu").device == torch.device("cpu")
    assert repr(ragged) == "Ragged(rows=3, values=(0,), dtype=torch.int64)"


def test_a_negative_row_counts_from_the_end():
    ragged = Ragged.from_lists([[1], [2, 3]])
    assert ragged[-1].tolist() == [2, 3]
    with pytest.raises(IndexError, match="row 2 of 2"):
        ragged[2]


@pytest.mark.parametrize(
    "offsets",
    [torch.tensor([0, 2], dtype=torch.int32), torch.tensor([], dtype=torch.int64), torch.tensor([[0, 3]])],
)
def test_offsets_of_a_wrong_type_are_refused(offsets):
    with pytest.raises(ShapeError, match="int64 vector"):
        Ragged(torch.arange(3), offsets)


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3]])
def test_offsets_that_miss_values_are_refused(offsets):
    with pytest.raises(ShapeError, match="3 values"):
        Ragged(torch.arange(3), torch.tensor(offsets))
