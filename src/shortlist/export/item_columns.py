"""The columns of the item table that a device can hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.catalogue import Catalogue
from shortlist.data.times import parse_times
from shortlist.postrank.freshness import FIRST_SEEN


def device_columns(
    catalogue: Catalogue, rows: NDArray[np.int64], *, item_id: str
) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """Texts, tags, numbers, booleans and times of some items; columns of any other type stay behind.

    Args:
        catalogue: the item table.
        rows: `[count]` int64 item indices, in the order of the device's rows.
        item_id: the column of ids, which stands apart.

    Returns:
        What each column holds, and its values.
    """
    table = catalogue.items[rows]
    kinds: dict[str, str] = {}
    values: dict[str, list[Any]] = {}
    for name in table.columns:
        kind = None if name == item_id else _kind(table[name])
        if kind is not None:
            kinds[name], values[name] = kind, _plain(table[name], kind)
    return kinds, values


def _kind(column: pl.Series) -> str | None:
    dtype = column.dtype
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return "text"
    if isinstance(dtype, pl.List) and dtype.inner in (pl.String, pl.Int64, pl.Int32):
        return "tags"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_temporal() and dtype in (pl.Date, pl.Datetime):
        return "timestamp"
    if dtype.is_numeric():
        return "timestamp" if column.name == FIRST_SEEN else "number"
    return None


def _plain(column: pl.Series, kind: str) -> list[Any]:
    if kind == "tags":
        return [[str(tag) for tag in tags or () if tag is not None] for tags in column.to_list()]
    if kind == "timestamp":
        return parse_times(column)[0].to_list() if column.dtype.is_temporal() else column.to_list()
    if kind == "number" and column.dtype.is_float():
        return column.set(~column.is_finite().fill_null(True), None).to_list()
    return column.cast(pl.String).to_list() if kind == "text" else column.to_list()
