"""Means of rows in bags, added to what other tables gave, by the native kernel: for requests that wait."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from shortlist import _native
from shortlist.errors import ShapeError
from shortlist.kernels.checks import check_threads


def add_bag_means(
    sums: Tensor,
    weight: Tensor,
    ids: Tensor,
    offsets: Tensor,
    *,
    column: int = 0,
    row_scores: Tensor | None = None,
    distance_scores: Tensor | None = None,
    threads: int | None = None,
) -> None:
    """Add the mean of some rows of a table for each bag; ids that are 0 do not count.

    Args:
        sums: `[bags, width]` float32, added to in place.
        weight: `[rows, dim]` float32.
        ids: `[total]` int64 row numbers.
        offsets: `[bags + 1]` int64, from 0 to `total`.
        column: of the sums, the first of `dim` that are added to.
        row_scores: `[rows]` float32; an id counts by the softmax over its bag of its row's score and that of
            its distance from the end. None counts all alike.
        distance_scores: `[longest]` float32, from the last id of a bag on; given with row scores.
        threads: to work with; PyTorch's number by default.

    Raises:
        ShapeError: an id is no row of the table, or the arrays do not fit together.
    """
    try:
        _native.add_bag_means(
            _array(weight),
            _array(ids),
            _array(offsets),
            None if row_scores is None else _array(row_scores),
            None if distance_scores is None else _array(distance_scores),
            sums.numpy(),
            column,
            check_threads(threads),
        )
    except ValueError as error:
        raise ShapeError(
            f"{error}: {len(ids)} ids for a table {tuple(weight.shape)} and sums {tuple(sums.shape)}",
            remedy="look the ids up in the vocabulary that the table was made for",
        ) from error


def _array(values: Tensor) -> Any:
    return values.detach().contiguous().numpy()
