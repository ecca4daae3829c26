"""Items that come, or are described anew, after a dataset was made: what they are told by, row by row."""

from __future__ import annotations

import copy

import polars as pl
import torch
from torch import Tensor

from shortlist.data.catalogue import Catalogue
from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.errors import DataError, SchemaError, did_you_mean

CHUNKS = 64  # pieces of memory that a table may consist of


def with_items(data: Dataset, items: pl.DataFrame) -> tuple[Dataset, Tensor]:
    """The same events and users beside some items more, or with other values of known ones.

    Args:
        data: no test part; it stays as it is.
        items: one row an item, with the item id column and any columns of the catalogue. What is not given
            stays, and is missing for a new item.

    Returns:
        A dataset in which known ids keep their indices, and `[len(items)]` int64 the items' indices there.

    Raises:
        SchemaError: a column is unknown, or its values are of another type than the catalogue's.
        DataError: an id is missing or comes twice.
    """
    key, table = data.schema.item_id, data.catalogue.items
    _check_items(items, key, table)
    vocabulary = data.item_vocabulary.extend(items[key])
    rows = torch.from_numpy(vocabulary.encode(items[key]))
    described = table[torch.where(rows < len(table), rows, 0).numpy()]  # row 0 is all null
    given = [_cast(items[name], table[name].dtype) for name in items.columns if name != key]
    described = described.with_columns(vocabulary.decode(rows.numpy()).rename(key), *given)
    catalogue = Catalogue(_replace_table_rows(table, rows, described), vocabulary)
    grown = copy.copy(data)
    grown.items = catalogue.items[1:]
    grown.item_vocabulary, grown.catalogue = vocabulary, catalogue
    return grown, rows


def replace_rows(column: Tensor | Ragged, rows: Tensor, values: Tensor | Ragged) -> Tensor | Ragged:
    """A column of which some rows are others, and some more than before.

    Args:
        column: `[size, …]`; it stays as it is.
        rows: `[n]` int64 distinct row numbers: those that change, and all new ones.
        values: `[n, …]` what these rows hold.
    """
    if isinstance(column, Ragged):
        assert isinstance(values, Ragged)
        both = Ragged.concatenate([column, values])
        return both if _are_appended(rows, len(column)) else both.take(_order(rows, len(column)))
    assert isinstance(values, Tensor)
    more = max(len(column), _end(rows)) - len(column)
    changed = torch.cat([column, column.new_zeros(more, *column.shape[1:])])
    changed[rows] = values
    return changed


def _replace_table_rows(table: pl.DataFrame, rows: Tensor, values: pl.DataFrame) -> pl.DataFrame:
    """`replace_rows` of a table."""
    both = pl.concat([table, values])
    if _are_appended(rows, len(table)):  # the usual case, in which nothing need be copied
        return both.rechunk() if both.n_chunks() > CHUNKS else both
    return both[_order(rows, len(table)).numpy()]


def _order(rows: Tensor, size: int) -> Tensor:
    """Where the rows of a changed table come from: from the old one, or from the changed rows behind it."""
    order = torch.arange(max(size, _end(rows)))
    order[rows] = size + torch.arange(len(rows))
    return order


def _are_appended(rows: Tensor, size: int) -> bool:
    """Whether some rows follow those of a table, in order."""
    return torch.equal(rows, torch.arange(size, size + len(rows)))


def _end(rows: Tensor) -> int:
    return int(rows.max()) + 1 if len(rows) else 0


def _check_items(items: pl.DataFrame, key: str, table: pl.DataFrame) -> None:
    for name in (key, *items.columns):
        if name not in items.columns or name not in table.columns:
            raise SchemaError(
                f"column {name!r} is {'missing' if name == key else 'unknown'}",
                where="the items",
                remedy=did_you_mean(name, table.columns),
            )
    ids = items[key].cast(pl.String, strict=False)
    if ids.null_count() or ids.n_unique() != len(ids):
        raise DataError("an item's id is missing or comes twice", where="the items", remedy="one row an item")


def _cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    try:
        return values.cast(dtype)
    except pl.exceptions.PolarsError as error:
        raise SchemaError(
            f"{values.head(1).to_list()!r:.80} cannot be {dtype}",
            where=f"column {values.name!r} of the items",
            remedy="give values of the type that the catalogue has",
        ) from error
