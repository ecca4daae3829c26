"""How the ids of a vocabulary are found: in a table, by binary search, or by a join."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]

# Integer ids that span at most this many times their number are looked up in a table.
DENSE_SPAN = 8

# Codes of categories that span more than this many times the column's rows are not worth a table.
SPARSE_SPAN = 8

# Rows whose intermediate results are in memory at a time.
BLOCK = 1 << 20

# A join hashes every known id anew; below this share of their number, a search costs less.
FEW = 0.1


class Lookup:
    """Finds values in a fixed list of distinct ids.

    Args:
        ids: distinct, non-null ids of dtype String or Int64.
    """

    def __init__(self, ids: pl.Series) -> None:
        self.ids = ids

    def find(self, values: pl.Series) -> Int64Array:
        """Positions of values in the list, counted from 1.

        Args:
            values: of the ids' dtype.

        Returns:
            `[len(values)]` int64, writable; 0 where a value is null or not in the list.
        """
        if len(self.ids) == 0 or len(values) == 0:
            return np.zeros(len(values), np.int64)
        if self.ids.dtype == pl.Int64 and self._dense:
            return self._find_in_table(values)
        if len(values) < FEW * len(self.ids):
            return self._find_by_search(values)
        return self._find_by_join(values)

    def find_numbers(self, numbers: Int64Array) -> Int64Array:
        """As `find`, for integers that are in an array already.

        Args:
            numbers: `[n]`; the ids are integers too.
        """
        if len(self.ids) == 0 or not self._dense:
            return self.find(pl.Series(numbers))
        inside = (numbers >= self._lowest) & (numbers <= self._highest)
        # A far value may wrap round in the subtraction; `inside` has already refused it.
        return self._table[np.where(inside, numbers - np.int64(self._lowest), len(self._table) - 1)]

    @cached_property
    def _dense(self) -> bool:
        return self._highest - self._lowest <= DENSE_SPAN * len(self.ids) + 1024

    @cached_property
    def _lowest(self) -> int:
        return int(self.ids.min())  # type: ignore[arg-type]

    @cached_property
    def _highest(self) -> int:
        return int(self.ids.max())  # type: ignore[arg-type]

    @cached_property
    def _table(self) -> Int64Array:
        table = np.zeros(self._highest - self._lowest + 2, np.int64)  # the last row is everything outside
        table[self.ids.to_numpy() - self._lowest] = np.arange(1, len(self.ids) + 1)
        return table

    def _find_in_table(self, values: pl.Series) -> Int64Array:
        if values.null_count() == 0:
            return self.find_numbers(values.to_numpy())
        found = self.find_numbers(values.fill_null(self._lowest).to_numpy())
        found[values.is_null().to_numpy()] = 0
        return found

    @cached_property
    def _sorted(self) -> tuple[int, NDArray[Any], Int64Array]:
        """The seed under which all keys differ, the keys in ascending order, and their positions."""
        for seed in range(100):
            keys = _keys(self.ids, seed)
            order = np.argsort(keys)
            ascending = keys[order]
            if not (ascending[1:] == ascending[:-1]).any():
                break
        return seed, ascending, order

    def _find_by_search(self, values: pl.Series) -> Int64Array:
        seed, ascending, order = self._sorted
        places = np.searchsorted(ascending, _keys(values, seed))
        found = order[np.minimum(places, len(order) - 1)]
        # Equal keys are not yet equal strings.
        same = self.ids.gather(found) == values
        same = same.fill_null(False) if same.null_count() else same
        return np.where(same.to_numpy(), found + 1, 0)

    def _find_by_join(self, values: pl.Series) -> Int64Array:
        known = pl.LazyFrame({"id": self.ids, "index": np.arange(1, len(self.ids) + 1)})
        asked = values.rename("id").to_frame().lazy()
        joined = asked.join(known, on="id", how="left", maintain_order="left").select("index").collect()
        return joined["index"].fill_null(0).to_numpy(writable=True)


def categories(series: pl.Series) -> tuple[NDArray[Any], pl.Series]:
    """The categories that occur in a Categorical or Enum column.

    The codes of a Categorical come from a pool that the whole process shares, and no stable call turns a
    code back into its string; so both are taken from the values themselves.

    Args:
        series: nulls are skipped.

    Returns:
        Codes (integers) and their strings, aligned, in any order.
    """
    codes = series.to_physical().drop_nulls().to_numpy()
    if is_sparse(codes, len(codes)):
        present = series.unique().drop_nulls()
        return present.to_physical().to_numpy(), present.cast(pl.String)
    rows = np.full(int(codes.max(initial=0)) + 1, -1, np.int64)  # some row of each category
    filled = series.drop_nulls()
    for start in range(0, len(codes), BLOCK):
        part = codes[start : start + BLOCK]
        rows[part] = np.arange(start, start + len(part))
    found = np.flatnonzero(rows >= 0)
    return found, filled.gather(rows[found]).cast(pl.String)


def is_sparse(codes: NDArray[Any], rows: int) -> bool:
    """Whether a table by code would be out of proportion: the pool may hold others' categories.

    Args:
        codes: codes of categories.
        rows: of the column that they come from.
    """
    return int(codes.max(initial=0)) > SPARSE_SPAN * rows + 1024


def category_positions(series: pl.Series, codes: NDArray[Any], positions: Int64Array) -> Int64Array:
    """Positions of a Categorical or Enum column's rows, from those of its categories.

    Args:
        series: the column.
        codes: what `categories` returned for it.
        positions: aligned with `codes`.

    Returns:
        `[len(series)]` int64, writable; 0 where the column is null.
    """
    if len(codes) == 0:
        return np.zeros(len(series), np.int64)
    table = np.zeros(int(codes.max()) + 2, np.int64)  # the last row is null's
    table[codes] = positions
    rows = _physical(series, len(table) - 1)
    result = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), BLOCK):  # indexing copies the codes to int64
        result[start : start + BLOCK] = table[rows[start : start + BLOCK]]
    return result


def category_counts(series: pl.Series, codes: NDArray[Any]) -> Int64Array:
    """How often each category of a Categorical or Enum column occurs.

    Args:
        series: the column; nulls are skipped.
        codes: what `categories` returned for it.

    Returns:
        `[len(codes)]` int64.
    """
    size = int(codes.max(initial=0)) + 2
    rows, counts = _physical(series, size - 1), np.zeros(size, np.int64)
    for start in range(0, len(rows), BLOCK):  # `bincount` copies its input to int64
        counts += np.bincount(rows[start : start + BLOCK], minlength=size)
    chosen: Int64Array = counts[codes]
    return chosen


def _physical(series: pl.Series, null: int) -> NDArray[Any]:
    codes = series.to_physical()
    return codes.cast(pl.UInt32).fill_null(null).to_numpy() if codes.null_count() else codes.to_numpy()


def _keys(values: pl.Series, seed: int) -> NDArray[Any]:
    """64-bit numbers to sort and search by: an integer itself, a string's hash."""
    if values.dtype == pl.Int64:
        return values.fill_null(0).to_numpy()
    return values.hash(seed).to_numpy()
