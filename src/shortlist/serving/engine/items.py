"""Items as the store keeps them, brought into a funnel."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import torch
from torch import Tensor

from shortlist.data.schema import Schema
from shortlist.errors import SchemaError, did_you_mean
from shortlist.funnel.funnel import Funnel
from shortlist.serving.stores import StoredItem
from shortlist.serving.stores.store import Values

FIRST_SEEN = "first_seen"  # when an item came, which `Freshness` reads


def check_columns(columns: Mapping[str, Any], table: pl.DataFrame, schema: Schema) -> None:
    """Refuse values that the item table cannot hold.

    Args:
        columns: values by column.
        table: of the catalogue.
        schema: names the id column.

    Raises:
        SchemaError: a column is unknown, or its value is of another type.
    """
    names = [name for name in table.columns if name != schema.item_id]
    for name, value in columns.items():
        if name not in names:
            raise SchemaError(
                f"the item table has no column {name!r}", where="columns", remedy=did_you_mean(name, names)
            )
        to_series(name, [value], table[name].dtype)


def whole(columns: Mapping[str, Any], table: pl.DataFrame, schema: Schema) -> Values:
    """The columns of an item that is described by these alone: the others are missing.

    Args:
        columns: values by column.
        table: of the catalogue.
        schema: names the id column.
    """
    missing = {name: None for name in table.columns if name != schema.item_id}
    came = {FIRST_SEEN: int(time.time())} if FIRST_SEEN in missing else {}
    return missing | came | dict(columns)


def to_series(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    """Values of JSON as a column of the item table; dates and times are texts of ISO 8601.

    Raises:
        SchemaError: a value is of another type.
    """
    try:
        if dtype in (pl.Date, pl.Datetime):
            return pl.Series(name, values, dtype=pl.String).str.to_datetime(strict=True).cast(dtype)
        return pl.Series(name, values, dtype=dtype, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise SchemaError(
            f"{values[0]!r:.80} cannot be {dtype}",
            where=f"column {name!r}",
            remedy="give a value of the column's type, or null",
        ) from error


def apply(funnel: Funnel, changed: Sequence[StoredItem], removed: Tensor) -> tuple[Funnel, Tensor]:
    """A funnel that knows what the store knows of its items.

    Args:
        funnel: the funnel; it is not changed.
        changed: items, each once.
        removed: `[n]` int64 indices of the items that are not to be recommended any more.

    Returns:
        The funnel with the items, and the removed ones after the change.
    """
    kept = [each for each in changed if each.columns is not None]
    if kept:
        funnel = funnel.with_items(_table(funnel, kept))
    vocabulary = funnel.data.item_vocabulary
    gone = [each.item for each in changed if each.columns is None]
    back = torch.from_numpy(vocabulary.encode(pl.Series([each.item for each in kept], dtype=pl.String)))
    lost = torch.from_numpy(vocabulary.encode(pl.Series(gone, dtype=pl.String)))
    stay = removed[~torch.isin(removed, back)]
    return funnel, torch.unique(torch.cat([stay, lost[lost > 0]]))


def _table(funnel: Funnel, items: Sequence[StoredItem]) -> pl.DataFrame:
    """Rows for the catalogue: what the store says, over what the funnel knew.

    What the present bundle's table cannot hold, since it was made for another one, is left out.
    """
    table, key = funnel.catalogue.items, funnel.data.schema.item_id
    ids = pl.Series(key, [each.item for each in items], dtype=pl.String).cast(table[key].dtype, strict=False)
    rows = funnel.data.item_vocabulary.encode(ids)
    known = table[rows]
    columns = [ids]
    for name in (each for each in table.columns if each != key):
        before = known[name].to_list()
        values = [(item.columns or {}).get(name, old) for item, old in zip(items, before, strict=True)]
        columns.append(_column(name, values, before, table[name].dtype))
    frame = pl.DataFrame(columns)
    return frame.filter(frame[key].is_not_null())


def _column(name: str, values: list[Any], before: list[Any], dtype: pl.DataType) -> pl.Series:
    try:
        return pl.Series(name, values, dtype=dtype, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        fitting = [_fitting(name, value, old, dtype) for value, old in zip(values, before, strict=True)]
        return pl.Series(name, fitting, dtype=dtype)


def _fitting(name: str, value: Any, old: Any, dtype: pl.DataType) -> Any:
    try:
        return to_series(name, [value], dtype)[0]
    except SchemaError:
        return old
