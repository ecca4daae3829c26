"""Columns of any type brought to the form that an encoding reads: ids, numbers, seconds, lists, hashes."""

from __future__ import annotations

import zlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import SchemaError

# No measurement is as large as this, and the squares of larger numbers may not be finite.
LARGEST = 1e100


def hash_strings(column: pl.Series, buckets: int) -> NDArray[np.int64]:
    """Stable hashes of strings.

    CRC-32, so that a table of embeddings means the same on every machine and in every version; each distinct
    string is hashed once.

    Args:
        column: `[rows]` strings.
        buckets: number of buckets.

    Returns:
        `[rows]` int64 in `1..buckets`; 0 where the string is null.
    """
    vocabulary = Vocabulary(column.drop_nulls().unique())
    hashes = [zlib.crc32(text.encode()) % buckets + 1 for text in vocabulary.ids]
    return np.array([0, *hashes], np.int64)[vocabulary.encode(column)]


def finite_numbers(column: pl.Series) -> NDArray[np.float64]:
    """A numeric column as float64, NaN where a value is missing, not finite, or `LARGEST` and beyond.

    Raises:
        SchemaError: the column is not numeric.
    """
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise SchemaError(
            f"a number is needed, the column holds {column.dtype}",
            where=f"column {column.name!r}",
            remedy="cast it, or use a Category",
        )
    numbers = column.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()
    numbers[~(np.abs(numbers) < LARGEST)] = np.nan
    return numbers


def finite_seconds(column: pl.Series) -> NDArray[np.float64]:
    """A column of dates or of seconds since 1970 as float64 seconds, NaN where a value is missing.

    Raises:
        SchemaError: the column holds neither.
    """
    if column.dtype in (pl.Date, pl.Datetime):
        return finite_numbers(column.cast(pl.Datetime("us")).dt.epoch("s"))
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return finite_numbers(column)
    raise SchemaError(
        f"times must be dates or seconds since 1970, the column holds {column.dtype}",
        where=f"column {column.name!r}",
        remedy="cast it to Datetime",
    )


def as_strings(column: pl.Series) -> pl.Series:
    """A column of categories as strings.

    Raises:
        SchemaError: a row holds more than one value.
    """
    if column.dtype.is_nested():
        raise SchemaError(
            f"one value a row is needed, the column holds {column.dtype}",
            where=f"column {column.name!r}",
            remedy="use Tags for several values a row, or Vector for an embedding",
        )
    return column.cast(pl.String)


def as_ids(column: pl.Series) -> pl.Series:
    """A column of categories as strings, or as integers where it holds them.

    Raises:
        SchemaError: a row holds more than one value.
    """
    return column if column.dtype.is_integer() else as_strings(column)


def split_tags(column: pl.Series, separator: str) -> pl.Series:
    """A column of tags as lists of strings, empty where missing.

    Args:
        column: lists or arrays of anything that can be a string, or strings joined by the separator.
        separator: between the tags of a string.
    """
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    lists = column if column.dtype == pl.List else as_strings(column).str.split(separator)
    names = lists.cast(pl.List(pl.String)).list.eval(pl.element().filter(pl.element().str.len_chars() > 0))
    return names.list.drop_nulls().fill_null([])


def as_lists(column: pl.Series) -> pl.Series:
    """A column of lists or fixed-size arrays of numbers as lists; a column of nothing is null lists.

    Raises:
        SchemaError: the column holds something else.
    """
    if column.dtype == pl.Null:
        return column.cast(pl.List(pl.Float32))
    if isinstance(column.dtype, (pl.Array, pl.List)) and column.dtype.inner.is_numeric():
        return column.arr.to_list() if isinstance(column.dtype, pl.Array) else column
    raise SchemaError(
        f"lists of numbers are needed, the column holds {column.dtype}",
        where=f"column {column.name!r}",
        remedy="store vectors as lists of numbers",
    )
