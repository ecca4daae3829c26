"""Which items a search may return: exclusions by id, masks and predicates, in the index's slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, ShapeError
from shortlist.index.inputs import id_series
from shortlist.index.roster import Roster

Exclude = Ragged | Sequence[Any]
Where = NDArray[np.bool_] | Tensor | pl.Series | pl.Expr


def excluded_slots(
    roster: Roster, exclude: Exclude, queries: int, *, single: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The slots that each query must not get.

    Args:
        roster: the items searched; ids that it does not hold are left out.
        exclude: as `exclusions`.
        queries: how many lists there must be.
        single: whether the caller gave one query without a batch axis.

    Returns:
        Slots, `[total]` int64 with -1 for unknown ids, and the lists' offsets, `[queries + 1]` int64.
    """
    if (  # as a funnel asks
        isinstance(exclude, Ragged)
        and exclude.values.dtype == torch.int64
        and len(exclude) == queries
        and roster.table.holds_integers
    ):
        return roster.find_numbers(exclude.values.cpu().numpy()), exclude.offsets.cpu().numpy()
    ids, lengths = exclusions(exclude, queries, single=single)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    return roster.find(ids), offsets


def allowed_slots(roster: Roster, where: Where) -> NDArray[np.bool_]:
    """`[slots]` bool: a filter over the living items, or a predicate over the item table, by slot."""
    if isinstance(where, pl.Expr):
        return evaluate_where(where, roster.items)
    live = roster.live_slots
    mask = as_where(where, len(live))
    if len(live) == len(roster.ids):
        return mask
    allowed = np.zeros(len(roster.ids), np.bool_)
    allowed[live] = mask
    return allowed


def exclusions(exclude: Exclude, queries: int, *, single: bool) -> tuple[pl.Series, NDArray[np.int64]]:
    """Bring lists of excluded ids to one flat Series and the lists' lengths.

    Args:
        exclude: a Ragged of integer ids, or a sequence of ids for each query; a plain sequence of ids
            if there is a single query.
        queries: how many lists there must be.
        single: whether the caller gave one query without a batch axis.

    Raises:
        ShapeError: not one list a query.
        DataError: ids that are neither strings nor integers.
    """
    if isinstance(exclude, Ragged):
        values, lengths = id_series(exclude.values), exclude.lengths.cpu().numpy()
    else:
        lists = list(exclude)
        if single and not (lists and _is_list(lists[0])):
            lists = [lists]
        flat = [id_ for ids in lists for id_ in (ids.tolist() if hasattr(ids, "tolist") else ids)]
        values, lengths = id_series(flat), np.array([len(ids) for ids in lists], np.int64)
    if len(lengths) != queries:
        raise ShapeError(
            f"exclude has {len(lengths)} lists for {queries} queries", remedy="pass one list a query"
        )
    return values, lengths


def _is_list(value: Any) -> bool:
    return not isinstance(value, str) and hasattr(value, "__len__")


def as_where(mask: NDArray[np.bool_] | Tensor | pl.Series, count: int) -> NDArray[np.bool_]:
    """Bring a filter to a bool `[count]` array.

    Raises:
        ShapeError: another dtype or length.
    """
    array = mask.cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if array.dtype != np.bool_ or array.shape != (count,):
        raise ShapeError(
            f"where must be bool [{count}], got {array.dtype} {list(array.shape)}",
            remedy="pass one truth value for each of index.ids, in their order, or a Polars expression",
        )
    return np.ascontiguousarray(array)


def evaluate_where(expression: pl.Expr, items: pl.DataFrame | None) -> NDArray[np.bool_]:
    """Evaluate a predicate on an item table; null counts as false.

    Raises:
        ConfigError: there is no item table, or the expression does not give one truth value a row.
    """
    if items is None:
        raise ConfigError(
            "where is an expression but the index has no item table", remedy="pass items= to fit"
        )
    try:
        column = items.select(expression).to_series()
    except pl.exceptions.PolarsError as error:
        raise ConfigError(
            f"where cannot be evaluated: {error}",
            where="the item table",
            remedy=f"it has the columns {items.columns}",
        ) from error
    if column.dtype != pl.Boolean or len(column) != len(items):
        raise ConfigError(
            f"where gives {len(column)} values of {column.dtype} for {len(items)} items",
            remedy="write a predicate, such as pl.col('year') > 1990",
        )
    return column.fill_null(False).to_numpy()
