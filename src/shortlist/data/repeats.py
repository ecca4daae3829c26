"""Rows that say the same as an earlier row, found without a hash table of all rows."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.vocabulary import is_categorical

# Odd 64-bit constants that spread the parts of a row's key over all bits.
MIXERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


# Rows whose keys are mixed at a time, so that the intermediate numbers stay small.
BLOCK = 1 << 20


def repeats(rows: pl.DataFrame) -> pl.Series:
    """Find the rows that equal an earlier one.

    Each row is mixed into a 64-bit key and the keys are sorted, which costs 8 bytes and about 50 ns a
    row; only the rows whose key occurs twice are then compared for what they really hold.

    Args:
        rows: one to four columns of strings, categories or Int64.

    Returns:
        `[rows]` bool.
    """
    ascending = _keys(rows)
    ascending.sort()
    twice = np.unique(ascending[1:][ascending[1:] == ascending[:-1]])
    del ascending
    result = np.zeros(len(rows), np.bool_)
    if len(twice):
        suspects = np.flatnonzero(pl.Series(_keys(rows)).is_in(pl.Series(twice).implode()).to_numpy())
        again = ~rows[suspects].select(pl.struct(pl.all()).is_first_distinct()).to_series()
        result[suspects] = again.to_numpy()
    return pl.Series(result)


def _keys(rows: pl.DataFrame) -> NDArray[np.uint64]:
    keys = np.zeros(len(rows), np.uint64)
    for start in range(0, len(rows), BLOCK):
        for column, mixer in zip(rows[start : start + BLOCK], MIXERS, strict=False):
            keys[start : start + BLOCK] += _bits(column) * np.uint64(mixer)
    return keys


def _bits(column: pl.Series) -> NDArray[np.uint64]:
    if is_categorical(column):
        return column.to_physical().to_numpy().astype(np.uint64)
    if column.dtype == pl.Int64:
        return column.to_numpy().view(np.uint64)
    return column.hash(0).to_numpy()
