"""Features relative to their list."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import Ragged, relative_to_list
from shortlist.errors import ShapeError

VALUE = st.sampled_from([-2.0, 0.0, 0.25, 1.0, 7.0])
LISTS = st.lists(st.lists(st.tuples(VALUE, VALUE), max_size=6), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(LISTS)
def test_they_are_standard_scores_and_shares_below(lists) -> None:
    values = torch.tensor([item for row in lists for item in row], dtype=torch.float32).reshape(-1, 2)
    features = Ragged.from_lengths(values, torch.tensor([len(row) for row in lists]))
    expected = []
    for row in lists:
        columns = list(zip(*row, strict=True))
        for item in row:
            standard = [standard_score(value, column) for value, column in zip(item, columns, strict=True)]
            below = [share_below(value, column) for value, column in zip(item, columns, strict=True)]
            expected.append(standard + below)
    wanted = torch.tensor(expected, dtype=torch.float32).reshape(-1, 4)
    torch.testing.assert_close(relative_to_list(features), wanted, rtol=1e-5, atol=1e-6)


def standard_score(value: float, column: tuple[float, ...]) -> float:
    mean = sum(column) / len(column)
    deviation = math.sqrt(sum((each - mean) ** 2 for each in column) / len(column))
    return (value - mean) / deviation if deviation else 0.0


def share_below(value: float, column: tuple[float, ...]) -> float:
    if len(column) == 1:
        return 0.5
    return (sum(each < value for each in column) + (column.count(value) - 1) / 2) / (len(column) - 1)


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(ShapeError, match="num_features"):
        relative_to_list(Ragged.from_lists([[1.0]], dtype=torch.float32))
