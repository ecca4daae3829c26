from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.metrics import Coverage

LISTS = st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(LISTS, st.integers(0, 6))
def test_it_is_the_share_of_items_in_anyones_first_k_in_one_part_or_two(lists, cut):
    ranked = torch.tensor(lists)
    first, second = Coverage(9, ks=(1, 3, 50)), Coverage(9, ks=(1, 3, 50))
    first.update(ranked[:cut])
    second.update(ranked[cut:])
    first.merge(second)
    wanted = {f"coverage@{k}": len({i for row in lists for i in row[:k]} - {0}) / 9 for k in (1, 3, 50)}
    assert first.compute() == pytest.approx(wanted)


def test_padding_covers_nothing_and_nothing_seen_is_nan():
    metric = Coverage(4, ks=(2,))
    assert math.isnan(metric.compute()["coverage@2"])
    metric.update(torch.zeros(3, 5, dtype=torch.int64))
    assert metric.compute() == {"coverage@2": 0}
    metric.reset()
    assert math.isnan(metric.compute()["coverage@2"])


def test_mistakes_are_refused_with_the_remedy():
    metric = Coverage(4)
    with pytest.raises(DataError, match="items 1 to 4"):
        metric.update(torch.tensor([[5]]))
    with pytest.raises(DataError, match="pad with 0"):
        metric.update(torch.tensor([[-1]]))
    with pytest.raises(ShapeError, match="rows, width"):
        metric.update(torch.tensor([1]))
    with pytest.raises(ConfigError, match="num_items is 0"):
        Coverage(0)
    with pytest.raises(ConfigError, match="same settings"):
        metric.merge(Coverage(5))
