"""Item columns as tensors, computed once for each catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import polars as pl
import torch
from torch import Tensor

from shortlist.data.catalogue import Catalogue
from shortlist.data.ragged import Ragged
from shortlist.data.times import epoch_seconds
from shortlist.errors import DataError, SchemaError
from shortlist.postrank.predicate import parse_predicate

T = TypeVar("T")

# Columns and conditions of a catalogue that are remembered; a server's clients may name any number.
REMEMBERED = 64

# A request must not pay for a pass over the whole item table. Entries go when their catalogue goes.
_CACHE: WeakKeyDictionary[Catalogue, dict[tuple[str, str], Any]] = WeakKeyDictionary()


def item_mask(catalogue: Catalogue, where: str | pl.Expr, *, stage: str) -> Tensor:
    """Which items meet a condition; a null counts as no.

    Args:
        catalogue: the item table.
        where: SQL text or a Polars expression; only text is remembered from call to call.
        stage: name of the post-ranker, for messages.

    Returns:
        `[num_items + 1]` bool.
    """
    if isinstance(where, pl.Expr):
        return catalogue.mask(where)
    return _once(catalogue, ("mask", where), lambda: catalogue.mask(parse_predicate(where, stage=stage)))


def item_groups(catalogue: Catalogue, name: str) -> Ragged:
    """`Catalogue.groups`: `[num_items + 1]` rows of group numbers."""
    return _once(catalogue, ("groups", name), lambda: catalogue.groups(name))


def item_numbers(catalogue: Catalogue, name: str) -> Tensor:
    """A numeric or boolean column.

    Returns:
        `[num_items + 1]` float64, NaN where the table has a null.

    Raises:
        SchemaError: the column holds something else.
        DataError: a value is infinite.
    """
    return _once(catalogue, ("numbers", name), lambda: _numbers(catalogue.column(name)))


def item_times(catalogue: Catalogue, name: str) -> tuple[Tensor, Tensor]:
    """A column of dates or times.

    Returns:
        `[num_items + 1]` int64 seconds since 1970, and `[num_items + 1]` bool, false where there is no date.

    Raises:
        SchemaError: the column holds neither dates nor seconds, or years.
    """
    return _once(catalogue, ("times", name), lambda: _times(catalogue.column(name)))


def _once(catalogue: Catalogue, key: tuple[str, str], compute: Callable[[], T]) -> T:
    remembered = _CACHE.setdefault(catalogue, {})
    if key not in remembered:
        while len(remembered) >= REMEMBERED:
            remembered.pop(next(iter(remembered)), None)
        remembered[key] = compute()
    value: T = remembered[key]
    return value


def _numbers(series: pl.Series) -> Tensor:
    if not series.dtype.is_numeric() and series.dtype not in (pl.Boolean, pl.Null):
        raise SchemaError(
            f"column {series.name!r} holds {series.dtype}, not numbers",
            where="the item table",
            remedy="name a numeric or boolean column, or use where= with a condition",
        )
    numbers = torch.from_numpy(series.cast(pl.Float64).fill_null(float("nan")).to_numpy(writable=True))
    if bool(torch.isinf(numbers).any()):
        raise DataError(
            f"column {series.name!r} holds an infinite value",
            where="the item table",
            remedy="replace it by a null",
        )
    return numbers


def _times(series: pl.Series) -> tuple[Tensor, Tensor]:
    known = series.is_not_null()
    if series.dtype == pl.Null:
        return torch.zeros(len(series), dtype=torch.int64), torch.zeros(len(series), dtype=torch.bool)
    present = series.filter(known)
    if series.dtype.is_integer() and len(present) and present.is_between(1000, 2999).all():
        raise SchemaError(
            f"column {series.name!r} holds years, not dates or seconds since 1970",
            where="the item table",
            remedy=f'make dates of them with pl.date("{series.name}", 1, 1)',
        )
    mask = torch.from_numpy(known.to_numpy(writable=True))
    seconds = torch.zeros(len(series), dtype=torch.int64)
    seconds[mask] = torch.from_numpy(epoch_seconds(present).copy())
    return seconds, mask
