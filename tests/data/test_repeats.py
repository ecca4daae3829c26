"""Rows that say the same as an earlier row, block by block."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shortlist.data import repeats as module
from shortlist.data.repeats import repeats


@pytest.mark.parametrize("block", [1, 7, 100, 1 << 20])
def test_repeats_are_found_across_blocks(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "user": pl.Series(rng.choice(["ann", "bob", "eve"], 100)),
            "item": rng.integers(0, 4, 100),
            "time": rng.integers(0, 3, 100),
            "event": pl.Series(rng.choice(["view", "buy"], 100), dtype=pl.Categorical),
        }
    )
    assert (
        repeats(frame).to_list()
        == (~frame.select(pl.struct(pl.all()).is_first_distinct()).to_series()).to_list()
    )
    assert 0 < repeats(frame).sum() < 100


def test_one_row_and_no_row_repeat_nothing():
    frame = pl.DataFrame({"a": [1]})
    assert repeats(frame).to_list() == [False]
    assert repeats(frame.head(0)).to_list() == []


def test_values_that_swap_columns_are_no_repeat():
    assert repeats(pl.DataFrame({"a": [1, 2], "b": [2, 1]})).to_list() == [False, False]
