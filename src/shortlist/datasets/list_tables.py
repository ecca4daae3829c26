"""Ranking tables from ordinary tables: one row an item with a column that groups, or one row a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from torch import Tensor

from shortlist.data.ragged import offsets_from_lengths
from shortlist.datasets.files import Source, expand, read_tables
from shortlist.datasets.ranking_table import RankingTable
from shortlist.errors import DataError, SchemaError, did_you_mean


def ranking_table(
    source: pl.DataFrame | Source,
    *,
    query: str,
    label: str,
    position: str | None = None,
    weight: str | None = None,
    features: Sequence[str] | None = None,
) -> RankingTable:
    """A table of one row an item, grouped by a column; a query's rows need not stand together.

    Args:
        source: a frame, or files as in `from_files`.
        query: the column that says which list a row belongs to.
        label: the column of labels, numbers from 0.
        position: the column of the places, from 0, at which items were shown; None where there is none.
        weight: the column of the items' weights, 0 or more; None weighs all alike.
        features: numeric columns; all the others by default.

    Returns:
        Lists in the order in which their queries first appear, each with its rows in the table's order.

    Raises:
        DataError: there is no row, a query, label, feature, position or weight is missing or not a number, or
            a position or weight is negative.
        SchemaError: a column is missing or of the wrong kind.
    """
    frame = (
        source if isinstance(source, pl.DataFrame) else read_tables(expand(source), required=[query, label])
    )
    special = [name for name in (query, label, position, weight) if name is not None]
    _check_columns(frame, [*special, *(features or [])])
    columns = [name for name in frame.columns if name not in special] if features is None else features
    queries = frame[query]
    if len(frame) == 0 or queries.null_count():
        raise DataError(
            "there is no row" if len(frame) == 0 else f"{queries.null_count()} rows have no {query!r}",
            remedy="every row needs the query it was judged for",
        )
    first = queries.unique(maintain_order=True)
    numbers = pl.DataFrame({query: first}).with_row_index("number")
    number = (
        frame.select(query).join(numbers, on=query, how="left", maintain_order="left")["number"].to_numpy()
    )
    order = np.argsort(number, kind="stable")
    table = _table(frame[order], number[order], first, label, list(columns))
    return _with_impressions(table, frame[order], position, weight)


def ranking_lists(
    source: pl.DataFrame | Source,
    *,
    items: str,
    label: str,
    query: str | None = None,
    context: Sequence[str] = (),
    position: str | None = None,
    weight: str | None = None,
    list_weight: str | None = None,
    features: Sequence[str] | None = None,
) -> RankingTable:
    """A table of one row a list: columns of the context, and a column that holds the list of items.

    Args:
        source: a frame, or files as in `from_files`; Parquet and JSON lines can hold lists.
        items: the column of lists of structs, one struct an item.
        label: the struct's field of labels, numbers from 0.
        query: the column of the lists' names; their numbers by default.
        context: numeric columns of the row, repeated for each of its items.
        position: the struct's field of the places, from 0, at which items were shown.
        weight: the struct's field of the items' weights, 0 or more.
        list_weight: the column of the lists' weights, 0 or more.
        features: numeric fields of the struct; all but those named above by default.

    Returns:
        Lists in the table's order; a row without items is an empty list. The features are the context's, then
        the items'.

    Raises:
        DataError: there is no row, a label, feature, position or weight is missing or not a number, or a
            position or weight is negative.
        SchemaError: a column or field is missing or of the wrong kind.
    """
    frame = source if isinstance(source, pl.DataFrame) else read_tables(expand(source), required=[items])
    _check_columns(frame, [items, *context, *(name for name in (query, list_weight) if name)])
    kind = frame.schema[items]
    if not (isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct)):
        raise SchemaError(
            f"column {items!r} holds {kind}, not lists of structs", remedy="store one struct an item"
        )
    if len(frame) == 0:
        raise DataError("there is no row", remedy="pass one row a list")
    lengths = frame[items].list.len().fill_null(0).to_numpy().astype(np.int64)
    number = np.repeat(np.arange(len(frame)), lengths)
    fields = frame[items].explode().drop_nulls() if lengths.sum() else frame[items].clear().explode()
    if len(fields) != lengths.sum():
        raise DataError(
            f"column {items!r} holds nulls within its lists", remedy="leave out items that are null"
        )
    unnested = fields.struct.unnest()
    special = [name for name in (label, position, weight) if name is not None]
    own = [name for name in unnested.columns if name not in special] if features is None else list(features)
    _check_columns(unnested, [*special, *own])
    both = [name for name in context if name in unnested.columns]
    if both:
        raise SchemaError(f"{both[0]!r} is a column and a field of the items", remedy="rename one of them")
    repeated = [frame[name].gather(number) for name in context]
    table = unnested.with_columns(repeated)
    names = frame[query] if query else pl.Series(np.arange(len(frame)))
    found = _with_impressions(_table(table, number, names, label, [*context, *own]), table, position, weight)
    return found if list_weight is None else replace(found, list_weights=_weights(frame[list_weight]))


def _table(
    frame: pl.DataFrame, number: np.ndarray, names: pl.Series, label: str, columns: list[str]
) -> RankingTable:
    if not columns:
        raise SchemaError(
            "there is no feature", remedy="pass features=[...], the columns a model may look at"
        )
    numbers = {name: _numbers(frame[name]) for name in [label, *columns]}
    lengths = np.bincount(number, minlength=len(names)) if len(number) else np.zeros(len(names), np.int64)
    return RankingTable(
        torch.from_numpy(np.stack([numbers[name] for name in columns], axis=1)),
        torch.from_numpy(numbers[label]),
        offsets_from_lengths(torch.from_numpy(lengths.astype(np.int64))),
        tuple(names.cast(pl.String).to_list()),
        tuple(columns),
    )


def _with_impressions(
    table: RankingTable, frame: pl.DataFrame, position: str | None, weight: str | None
) -> RankingTable:
    if position is not None:
        places = _numbers(frame[position])
        if (places < 0).any() or (places % 1 != 0).any():
            row = int(np.argmax((places < 0) | (places % 1 != 0)))
            raise DataError(
                f"row {row} of column {position!r} is {frame[position][row]}",
                remedy="count the positions from 0, from the top",
            )
        table = replace(table, positions=torch.from_numpy(places.astype(np.int64)))
    return table if weight is None else replace(table, item_weights=_weights(frame[weight]))


def _weights(column: pl.Series) -> Tensor:
    values = _numbers(column)
    if (values < 0).any():
        row = int(np.argmax(values < 0))
        raise DataError(f"row {row} of column {column.name!r} is {column[row]}", remedy="pass weights from 0")
    return torch.from_numpy(values)


def _numbers(column: pl.Series) -> np.ndarray:
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise SchemaError(
            f"column {column.name!r} holds {column.dtype}",
            remedy="encode it as numbers, or leave it out of features",
        )
    values = column.cast(pl.Float32).to_numpy(writable=True)
    finite = np.isfinite(values)
    if column.null_count() or not finite.all():
        row = int(np.argmin(finite)) if not finite.all() else int(column.is_null().arg_max() or 0)
        raise DataError(
            f"row {row} of column {column.name!r} is {column[row]}",
            remedy="fill what is missing, or drop those rows",
        )
    return values


def _check_columns(frame: pl.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in frame.columns:
            raise SchemaError(f"there is no column {name!r}", remedy=did_you_mean(name, frame.columns))
