"""Which places of ranked lists hold relevant items, and what they gain."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from shortlist.data.ragged import Ragged
from shortlist.errors import DataError, ShapeError
from shortlist.metrics.streaming import check_cutoffs

_LARGEST_KEY = (1 << 63) - 1


class Matches(NamedTuple):
    """A batch of ranked lists, held against the items that are relevant to each row."""

    hits: Tensor  # [rows, k] float64, 1 where a place holds a relevant item for the first time
    gains: Tensor  # [rows, k] float64 gain of each place, in a unit of the row's own
    ideal_gains: Tensor  # [rows, k] float64 gains of the best possible order, in the same unit
    num_relevant: Tensor  # [rows] float64


def match(ranked: Tensor, relevant: Ragged, *, k: int, grades: Tensor | None = None) -> Matches:
    """Find the relevant items in the first k places of each list.

    Args:
        ranked: `[rows, width]` int64 item indices, best first, 0 where the list has ended.
        relevant: `rows` rows of int64 item indices, any order; repeats count once, 0 never.
        k: how many places to look at; places beyond `width` are empty.
        grades: `[total]` grade of each relevant item; 0 or less is not relevant. None grades all 1.

    Returns:
        What was found.

    Raises:
        ConfigError: `k` is not positive.
        DataError: an item index is negative or a grade is not finite.
        ShapeError: the arguments do not fit together.
    """
    check_cutoffs([k])
    _check(ranked, relevant, grades)
    top = functional.pad(ranked[:, :k], (0, max(0, k - ranked.shape[1])))
    span = _key_span(top, relevant)
    keys, key_grades = _relevant_keys(relevant, grades, span)
    rows = keys // span
    num_relevant = torch.bincount(rows, minlength=len(top))
    key_gains = _gains(rows, key_grades, len(top))
    places, hits = _find(top, keys, span)
    gains = key_gains[places] * hits if len(keys) else torch.zeros_like(hits)
    return Matches(hits, gains, _ideal(rows, key_gains, num_relevant, k), num_relevant.double())


def _check(ranked: Tensor, relevant: Ragged, grades: Tensor | None) -> None:
    if ranked.ndim != 2 or ranked.is_floating_point() or len(relevant) != len(ranked):
        raise ShapeError(
            f"ranked is {ranked.dtype} {tuple(ranked.shape)} for {len(relevant)} rows of relevant items",
            remedy="pass [rows, width] item indices and one row of relevant items for each",
        )
    for name, items in (("ranked", ranked), ("relevant", relevant.values)):
        if items.numel() and int(items.min()) < 0:
            raise DataError(f"{name} holds item index {int(items.min())}", remedy="pad with 0, not with -1")
    if grades is None:
        return
    if grades.shape != relevant.values.shape:
        raise ShapeError(
            f"grades are {tuple(grades.shape)} for {len(relevant.values)} relevant items",
            remedy="pass one grade a relevant item, in the order of relevant.values",
        )
    if not bool(grades.double().isfinite().all()):
        raise DataError("a grade is not a finite number", remedy="drop the rows whose label is missing")


def _key_span(top: Tensor, relevant: Ragged) -> int:
    # One number for (row, item): row * span + item.
    largest = max(int(items.max()) if items.numel() else 0 for items in (top, relevant.values))
    if (len(top) + 1) * (largest + 1) > _LARGEST_KEY:
        raise DataError(
            f"item index {largest} is too large for {len(top)} rows",
            remedy="pass the dense indices of a Vocabulary rather than raw ids",
        )
    return largest + 1


def _relevant_keys(relevant: Ragged, grades: Tensor | None, span: int) -> tuple[Tensor, Tensor]:
    # Ascending (row, item) keys, each once with the highest of its grades.
    items = relevant.values.long()
    marks = torch.ones_like(items, dtype=torch.float64) if grades is None else grades.double()
    counted = (items != 0) & (marks > 0)
    keys, marks = (relevant.row_ids() * span + items)[counted], marks[counted]
    by_grade = marks.argsort(stable=True)
    keys, order = keys[by_grade].sort(stable=True)
    last = torch.ones_like(keys, dtype=torch.bool)
    last[:-1] = keys[1:] != keys[:-1]
    return keys[last], marks[by_grade][order][last]


def _gains(rows: Tensor, grades: Tensor, num_rows: int) -> Tensor:
    # 2^grade - 1 in units of 2^(the row's highest grade): NDCG is a ratio, and a grade of 2,000 overflows.
    highest = grades.new_zeros(num_rows).scatter_reduce_(0, rows, grades, "amax", include_self=False)
    return torch.exp2(grades - highest[rows]) * -torch.expm1(-grades * math.log(2))


def _find(top: Tensor, keys: Tensor, span: int) -> tuple[Tensor, Tensor]:
    # For each place the position of its key, and 1.0 where it is really there for the first time.
    if len(keys) == 0:
        return torch.zeros_like(top), torch.zeros_like(top, dtype=torch.float64)
    wanted = torch.arange(len(top), device=top.device)[:, None] * span + top
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    items, order = top.sort(dim=1, stable=True)
    again = torch.zeros_like(items, dtype=torch.bool)
    again[:, 1:] = items[:, 1:] == items[:, :-1]
    repeated = torch.zeros_like(again).scatter_(1, order, again)
    return places, ((keys[places] == wanted) & ~repeated).double()


def _ideal(rows: Tensor, gains: Tensor, num_relevant: Tensor, k: int) -> Tensor:
    by_gain = gains.argsort(descending=True, stable=True)
    order = by_gain[rows[by_gain].argsort(stable=True)]
    return Ragged.from_lengths(gains[order], num_relevant).to_padded(k)
