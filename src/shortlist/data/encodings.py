"""Columns to tensors: what each feature learned from the train part, and how it then encodes."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import DataError, SchemaError

DAY = 86_400
CYCLES = (DAY, 7 * DAY, 365.2425 * DAY)  # hour of the day, day of the week, day of the year


@dataclass(frozen=True, eq=False)
class VocabularyEncoding:
    """A category by its place among the values seen in training: `[rows]` int64, 0 for any other."""

    vocabulary: Vocabulary
    shape: Literal["index"] = "index"

    @property
    def size(self) -> int:
        """The number of embedding rows."""
        return len(self.vocabulary)

    def encode(self, column: pl.Series) -> Tensor:
        """Encode a column."""
        return torch.from_numpy(self.vocabulary.encode(as_ids(column)).copy())


@dataclass(frozen=True)
class SeenEncoding:
    """A user's or item's own index, if it was seen in training: `[rows]` int64, 0 for any other.

    Vocabularies put what was seen first, so an embedding row that would never be trained is never made.
    """

    size: int
    shape: Literal["index"] = "index"

    def encode_indices(self, indices: Tensor) -> Tensor:
        """Encode indices of a vocabulary."""
        return torch.where(indices < self.size, indices, 0)


@dataclass(frozen=True)
class HashEncoding:
    """A category by its hash: `[rows]` int64 from 1, 0 where missing."""

    buckets: int
    shape: Literal["index"] = "index"

    @property
    def size(self) -> int:
        """The number of embedding rows."""
        return self.buckets + 1

    def encode(self, column: pl.Series) -> Tensor:
        """Encode a column."""
        return torch.from_numpy(hash_strings(column.cast(pl.String), self.buckets))


@dataclass(frozen=True)
class BucketEncoding:
    """A number by the quantile bucket it falls in: `[rows]` int64 from 1, 0 where missing."""

    bounds: tuple[float, ...]
    shape: Literal["index"] = "index"

    @property
    def size(self) -> int:
        """The number of embedding rows."""
        return len(self.bounds) + 2

    def encode(self, column: pl.Series) -> Tensor:
        """Encode a column."""
        numbers = finite_numbers(column)
        buckets = np.searchsorted(np.asarray(self.bounds), numbers, side="right") + 1
        return torch.from_numpy(np.where(np.isnan(numbers), 0, buckets))


@dataclass(frozen=True)
class StandardEncoding:
    """A number with the train part's mean taken off, over its deviation: `[rows, 2]`, value and missing."""

    mean: float
    deviation: float
    shape: Literal["dense"] = "dense"
    size: int = 2

    def encode(self, column: pl.Series) -> Tensor:
        """Encode a column."""
        numbers = finite_numbers(column)
        missing = np.isnan(numbers)
        values = np.where(missing, 0.0, (numbers - self.mean) / self.deviation)
        return torch.from_numpy(np.stack([values, missing], axis=1).astype(np.float32))


@dataclass(frozen=True)
class TimeEncoding:
    """A moment: `[rows, 8]`, sine and cosine of three cycles, the age by the train part's scale, missing."""

    origin: float
    scale: float
    shape: Literal["dense"] = "dense"
    size: int = 8

    def encode(self, column: pl.Series) -> Tensor:
        """Encode a column of dates or of seconds since 1970."""
        seconds = column.cast(pl.Datetime("us")).dt.epoch("s") if column.dtype.is_temporal() else column
        return self.encode_seconds(torch.from_numpy(finite_numbers(seconds)))

    def encode_seconds(self, seconds: Tensor) -> Tensor:
        """Encode seconds since 1970, NaN where missing.

        Args:
            seconds: `[rows]` float64 or int64.
        """
        seconds = seconds.double()
        missing = seconds.isnan()
        known = torch.where(missing, self.origin, seconds)
        parts = [wave(known * (2 * math.pi / cycle)) for cycle in CYCLES for wave in (torch.sin, torch.cos)]
        parts = [torch.where(missing, 0.0, part) for part in parts]
        age = ((known - self.origin) / self.scale).clamp(
            -4, 4
        )  # a model served for years meets no wild input
        return torch.stack([*parts, age, missing.double()], dim=1).float()


@dataclass(frozen=True)
class TextEncoding:
    """Hashed words and runs of words: a bag `[rows]` of int64 from 1."""

    ngrams: int
    buckets: int
    shape: Literal["bag"] = "bag"

    @property
    def size(self) -> int:
        """The number of embedding rows."""
        return self.buckets + 1

    def encode(self, column: pl.Series) -> Ragged:
        """Encode a column."""
        words = column.cast(pl.String).fill_null("").str.to_lowercase().str.extract_all(r"[\p{L}\p{N}]+")
        lengths = torch.from_numpy(words.list.len().cast(pl.Int64).to_numpy().copy())
        rows = torch.arange(len(words)).repeat_interleave(lengths)
        flat = words.explode(empty_as_null=False, keep_nulls=False)
        hashes, owners = [], []
        for run in range(1, self.ngrams + 1):
            count = max(len(flat) - run + 1, 0)  # runs of words, those across two rows taken out
            inside = rows[:count] == rows[run - 1 :]
            texts = pl.select(
                pl.concat_str([flat.slice(i, count) for i in range(run)], separator=" ")
            ).to_series()
            hashes.append(torch.from_numpy(hash_strings(texts, self.buckets))[inside])
            owners.append(rows[:count][inside])
        owner = torch.cat(owners)
        values = torch.cat(hashes)[torch.argsort(owner, stable=True)]
        return Ragged.from_lengths(values, torch.bincount(owner, minlength=len(words)))


@dataclass(frozen=True, eq=False)
class TagsEncoding:
    """Several categories a row: a bag `[rows]` of int64; tags not seen in training are left out."""

    vocabulary: Vocabulary
    separator: str
    shape: Literal["bag"] = "bag"

    @property
    def size(self) -> int:
        """The number of embedding rows."""
        return len(self.vocabulary)

    def encode(self, column: pl.Series) -> Ragged:
        """Encode a column."""
        lists = split_tags(column, self.separator)
        flat = lists.explode(empty_as_null=False, keep_nulls=False)
        indices = torch.from_numpy(self.vocabulary.encode(flat).copy())
        lengths = torch.from_numpy(lists.list.len().cast(pl.Int64).to_numpy().copy())
        rows = torch.arange(len(lists)).repeat_interleave(lengths)[indices > 0]
        return Ragged.from_lengths(indices[indices > 0], torch.bincount(rows, minlength=len(lists)))


@dataclass(frozen=True)
class VectorEncoding:
    """A ready-made embedding: `[rows, size]` float32, zeros where missing."""

    size: int
    shape: Literal["dense"] = "dense"

    def encode(self, column: pl.Series) -> Tensor:
        """Encode a column.

        Raises:
            DataError: a row has another length than the train part's, or holds a value that is not finite.
        """
        lists = as_lists(column)
        lengths = lists.list.len()
        wrong = lists.is_not_null() & (lengths != self.size)
        if wrong.any():
            raise DataError(
                f"a vector has {lengths.filter(wrong)[0]} numbers, the others {self.size}",
                where=f"column {column.name!r}, row {wrong.arg_max()}",
                remedy="give every row the same number, or null",
            )
        flat = lists.explode(empty_as_null=False, keep_nulls=False).cast(pl.Float32).to_numpy()
        if not np.isfinite(flat).all():
            raise DataError(
                "a vector holds NaN or infinity", where=f"column {column.name!r}", remedy="use null"
            )
        dense = np.zeros((len(lists), self.size), np.float32)
        dense[lists.is_not_null().to_numpy()] = flat.reshape(-1, self.size)
        return torch.from_numpy(dense)


Encoding = (
    VocabularyEncoding
    | SeenEncoding
    | HashEncoding
    | BucketEncoding
    | StandardEncoding
    | TimeEncoding
    | TextEncoding
    | TagsEncoding
    | VectorEncoding
)


def hash_strings(column: pl.Series, buckets: int) -> np.ndarray[Any, np.dtype[np.int64]]:
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


def finite_numbers(column: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A numeric column as float64, NaN where a value is missing or not finite.

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
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def as_ids(column: pl.Series) -> pl.Series:
    """A column of categories as strings or integers."""
    return column if column.dtype.is_integer() or column.dtype == pl.String else column.cast(pl.String)


def split_tags(column: pl.Series, separator: str) -> pl.Series:
    """A column of tags as lists of strings, empty where missing."""
    lists = column if column.dtype == pl.List else column.cast(pl.String).str.split(separator)
    names = lists.cast(pl.List(pl.String)).list.eval(pl.element().filter(pl.element().str.len_chars() > 0))
    return names.list.drop_nulls().fill_null([])


def as_lists(column: pl.Series) -> pl.Series:
    """A column of lists or fixed-size arrays as lists.

    Raises:
        SchemaError: the column holds neither.
    """
    if isinstance(column.dtype, pl.Array):
        return column.cast(pl.List(pl.Float32))
    if isinstance(column.dtype, pl.List) and column.dtype.inner.is_numeric():
        return column
    raise SchemaError(
        f"lists of numbers are needed, the column holds {column.dtype}",
        where=f"column {column.name!r}",
        remedy="store vectors as lists of numbers",
    )
