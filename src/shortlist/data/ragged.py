"""Rows of different lengths in two flat tensors: histories, tags, token bags, candidate lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from shortlist.errors import DataError, ShapeError


@dataclass(frozen=True, eq=False)
class Ragged:
    """A batch of rows of different lengths, in the layout of Arrow lists.

    Row `i` is `values[offsets[i]:offsets[i + 1]]`.

    Args:
        values: `[total, ...]` all rows' values, one row after another.
        offsets: `[rows + 1]` int64, non-decreasing, from 0 to `total`.

    Raises:
        ShapeError: the offsets are not int64, do not start at 0 or do not end at `len(values)`.
    """

    values: Tensor
    offsets: Tensor

    def __post_init__(self) -> None:
        offsets = self.offsets
        if offsets.dtype != torch.int64 or offsets.ndim != 1 or offsets.numel() == 0:
            raise ShapeError(
                f"offsets must be a non-empty int64 vector, got {offsets.dtype} {tuple(offsets.shape)}",
                remedy="pass the running total of the rows' lengths, starting with 0",
            )
        # An array's numbers are looked at in a tenth of the time that a tensor's take.
        ends = offsets.numpy() if offsets.is_cpu else offsets
        if int(ends[0]) != 0 or int(ends[-1]) != self.values.shape[0]:
            raise ShapeError(
                f"offsets run from {int(ends[0])} to {int(ends[-1])} but there are {len(self.values)} values",
                remedy="offsets must start at 0 and end at len(values)",
            )

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    def __getitem__(self, row: int) -> Tensor:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        row %= len(self)
        return self.values[int(self.offsets[row]) : int(self.offsets[row + 1])]

    def __repr__(self) -> str:
        return f"Ragged(rows={len(self)}, values={tuple(self.values.shape)}, dtype={self.values.dtype})"

    @property
    def lengths(self) -> Tensor:
        """`[rows]` int64 length of each row."""
        return self.offsets.diff()

    @property
    def device(self) -> torch.device:
        """Where the values live."""
        return self.values.device

    def row_ids(self) -> Tensor:
        """`[total]` int64 row number of each value."""
        if len(self) == 1:
            return torch.zeros(self.values.shape[0], dtype=torch.int64, device=self.device)
        rows = torch.arange(len(self), device=self.device)
        return rows.repeat_interleave(self.lengths, output_size=len(self.values))

    def positions(self) -> Tensor:
        """`[total]` int64 position of each value within its row, from 0."""
        everywhere = torch.arange(len(self.values), device=self.device)
        if len(self) == 1:
            return everywhere
        return everywhere - self.offsets[:-1].repeat_interleave(self.lengths, output_size=len(self.values))

    def take(self, rows: Tensor) -> Ragged:
        """Gather some rows, in the order given; a row may come twice.

        Args:
            rows: `[n]` int64 row numbers.

        Returns:
            A Ragged of `n` rows; a single one shares the memory of its values.
        """
        starts = self.offsets[rows]
        return gather_windows(self.values, starts, self.offsets[rows + 1] - starts)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Ragged:
        """Copy to another device."""
        return Ragged(
            self.values.to(device, non_blocking=non_blocking),
            self.offsets.to(device, non_blocking=non_blocking),
        )

    def to_padded(self, length: int, *, value: float = 0) -> Tensor:
        """Cut or pad every row to one length.

        Args:
            length: columns of the result; longer rows lose their end.
            value: what fills short rows.

        Returns:
            `[rows, length, ...]` with the values' dtype.
        """
        padded = self.values.new_full((len(self), length, *self.values.shape[1:]), value)
        columns = self.positions()
        kept = columns < length
        padded[self.row_ids()[kept], columns[kept]] = self.values[kept]
        return padded

    def to_lists(self) -> list[list[Any]]:
        """The rows as Python lists."""
        flat, bounds = self.values.tolist(), self.offsets.tolist()
        return [flat[start:end] for start, end in pairwise(bounds)]

    @classmethod
    def from_lengths(cls, values: Tensor, lengths: Tensor) -> Ragged:
        """Build from the rows' lengths instead of their offsets.

        Args:
            values: `[total, ...]`.
            lengths: `[rows]` int64, summing to `total`.
        """
        return cls(values, offsets_from_lengths(lengths))

    @classmethod
    def single(cls, values: Tensor) -> Ragged:
        """One row.

        Args:
            values: `[total, ...]`.
        """
        bounds = torch.from_numpy(np.array([0, values.shape[0]]))
        return cls(values, bounds if values.is_cpu else bounds.to(values.device))

    @classmethod
    def from_lists(cls, rows: Sequence[Sequence[Any]], *, dtype: torch.dtype = torch.int64) -> Ragged:
        """Build from Python lists.

        Args:
            rows: one sequence of numbers a row.
            dtype: of the values; int64 by default.
        """
        if not any(map(len, rows)):
            return cls.empty(len(rows), dtype=dtype)
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        values = torch.tensor([value for row in rows for value in row], dtype=dtype)
        return cls.from_lengths(values, lengths)

    @classmethod
    def from_series(cls, series: pl.Series) -> Ragged:
        """Build from a Polars column of lists of numbers; null lists become empty rows.

        Args:
            series: dtype `List` of a numeric type.

        Raises:
            DataError: the column holds something else, or a null within a list.
        """
        inner = series.dtype.inner if isinstance(series.dtype, pl.List) else None
        if inner is None or not inner.is_numeric():
            raise DataError(
                f"column {series.name!r} must hold lists of numbers, got {series.dtype}",
                remedy="encode it first",
            )
        lengths = series.list.len().fill_null(0).to_numpy().astype(np.int64)
        flat = series.filter(series.list.len() > 0).explode()
        if flat.null_count():
            raise DataError(
                f"column {series.name!r} holds nulls within its lists",
                remedy="drop them with .list.drop_nulls()",
            )
        return cls.from_lengths(torch.from_numpy(flat.to_numpy(writable=True)), torch.from_numpy(lengths))

    @classmethod
    def empty(cls, rows: int, *, dtype: torch.dtype = torch.int64) -> Ragged:
        """`rows` rows without any value."""
        return cls(torch.empty(0, dtype=dtype), torch.zeros(rows + 1, dtype=torch.int64))

    @classmethod
    def concatenate(cls, parts: Sequence[Ragged]) -> Ragged:
        """Stack the rows of several Ragged, one after another."""
        values = torch.cat([part.values for part in parts])
        return cls.from_lengths(values, torch.cat([part.lengths for part in parts]))


def offsets_from_lengths(lengths: Tensor) -> Tensor:
    """Running totals that start with 0.

    Args:
        lengths: `[rows]` int64.

    Returns:
        `[rows + 1]` int64.
    """
    if lengths.is_cpu:  # NumPy, whose calls cost a fraction of PyTorch's where rows are few
        totals = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths.numpy(), out=totals[1:])
        return torch.from_numpy(totals)
    offsets = torch.zeros(len(lengths) + 1, dtype=torch.int64, device=lengths.device)
    torch.cumsum(lengths, 0, out=offsets[1:])
    return offsets


def gather_windows(values: Tensor, starts: Tensor, lengths: Tensor) -> Ragged:
    """One contiguous window of a flat tensor for each row.

    Args:
        values: `[total, ...]`.
        starts: `[rows]` int64 first position of each window.
        lengths: `[rows]` int64 length of each window.

    Returns:
        A Ragged whose row `i` is `values[starts[i] : starts[i] + lengths[i]]`; copied, but for a single row,
        which shares its memory.
    """
    if lengths.shape[0] == 1:  # a lone request waits, and there is nothing to put together
        start = int(starts)
        return Ragged.single(values[start : start + int(lengths)])
    offsets = offsets_from_lengths(lengths)
    total = int(offsets[-1])
    shift = (starts - offsets[:-1]).repeat_interleave(lengths, output_size=total)
    positions = torch.arange(total, device=values.device) + shift
    return Ragged(values[positions], offsets)
