"""What is known of each item, aligned with the item index."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import SchemaError, ShapeError, did_you_mean


class Catalogue:
    """The item table, one row an item index, and perhaps the items' embeddings.

    Args:
        items: `num_items + 1` rows; row `i` describes item index `i`, row 0 is the unknown item.
        vocabulary: the item ids.
        vectors: `[num_items + 1, dim]` float32 embeddings, or None.

    Raises:
        ShapeError: the table or the vectors have another number of rows than the vocabulary.
    """

    def __init__(self, items: pl.DataFrame, vocabulary: Vocabulary, *, vectors: Tensor | None = None) -> None:
        for name, part in {"the item table": items, "the item vectors": vectors}.items():
            if part is not None and len(part) != len(vocabulary):
                raise ShapeError(
                    f"{name} has {len(part)} rows for {len(vocabulary)} item indices",
                    remedy="give one row an index, row 0 for the unknown item",
                )
        self.items = items
        self.vocabulary = vocabulary
        self.vectors = vectors

    def __len__(self) -> int:
        """The number of rows, the unknown item counted."""
        return len(self.vocabulary)

    @property
    def columns(self) -> list[str]:
        """The names of the item table's columns."""
        return self.items.columns

    def column(self, name: str) -> pl.Series:
        """One column of the item table, `num_items + 1` rows.

        Raises:
            SchemaError: there is no such column.
        """
        if name not in self.items.columns:
            raise SchemaError(
                f"the item table has no column {name!r}", remedy=did_you_mean(name, self.items.columns)
            )
        return self.items[name]

    def mask(self, predicate: pl.Expr) -> Tensor:
        """Which items a predicate over the item table allows.

        Args:
            predicate: a boolean Polars expression over the columns of the item table.

        Returns:
            `[num_items + 1]` bool; the unknown item is never allowed.

        Raises:
            SchemaError: the expression names a missing column or is not boolean.
        """
        try:
            allowed = self.items.select(predicate.alias("allowed"))["allowed"]
        except pl.exceptions.PolarsError as error:
            raise SchemaError(
                f"the filter cannot be evaluated: {error}", remedy=f"the item table has {self.items.columns}"
            ) from error
        if allowed.dtype != pl.Boolean or len(allowed) != len(self):
            raise SchemaError(
                f"the filter gives {allowed.dtype}, not one boolean an item", remedy="compare a column"
            )
        mask = torch.from_numpy(allowed.fill_null(False).to_numpy(writable=True))
        mask[0] = False
        return mask

    def groups(self, name: str) -> Ragged:
        """A column's values as small integers, several an item where the column holds lists.

        Args:
            name: a column of any hashable dtype, or of lists of one.

        Returns:
            `[num_items + 1]` rows of int64 group numbers from 0; an item without a value has an empty row.
        """
        series = self.column(name)
        if series.dtype != pl.List:
            series = series.to_frame().select(pl.when(pl.col(name).is_not_null()).then(pl.concat_list(name)))[
                name
            ]
        flat = series.explode(empty_as_null=False, keep_nulls=False)
        numbers = flat.rank("dense").cast(pl.Int64) - 1
        present = numbers.is_not_null()
        lengths = series.list.drop_nulls().list.len().fill_null(0).cast(pl.Int64)
        return Ragged.from_lengths(
            torch.from_numpy(numbers.filter(present).to_numpy(writable=True)),
            torch.from_numpy(lengths.to_numpy(writable=True)),
        )


def aligned_items(items: pl.DataFrame | None, vocabulary: Vocabulary, *, key: str) -> pl.DataFrame:
    """Bring an item or user table into the order of a vocabulary.

    Args:
        items: a table with the column `key`, or None for a table of ids alone.
        vocabulary: decides the rows.
        key: name of the id column.

    Returns:
        `len(vocabulary)` rows, row 0 all null; nulls where the table lacks an id.
    """
    order = vocabulary.decode(range(len(vocabulary))).rename(key).to_frame()
    if items is None or key not in items.columns:
        return order
    table = items.with_columns(pl.col(key).cast(order[key].dtype, strict=False)).unique(key, keep="first")
    return order.join(table, on=key, how="left", maintain_order="left")


def first_times(indices: NDArray[np.int64], times: NDArray[np.int64], size: int) -> pl.Series:
    """The earliest time of each index.

    Args:
        indices: `[n]` int64.
        times: `[n]` int64 seconds.
        size: number of indices.

    Returns:
        `[size]` int64, null for an index without a time and for 0, the unknown.
    """
    never = np.iinfo(np.int64).max
    earliest = np.full(size, never)
    np.minimum.at(earliest, indices, times)
    earliest[0] = never
    return pl.Series(earliest).set(pl.Series(earliest == never), None)
