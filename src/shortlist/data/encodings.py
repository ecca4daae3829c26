"""Columns to tensors: what each feature learned from the train part, and how it then encodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from shortlist.data.columns import (
    as_ids,
    as_lists,
    as_strings,
    finite_numbers,
    finite_seconds,
    hash_strings,
    split_tags,
)
from shortlist.data.ragged import Ragged
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import DataError

DAY = 86_400
FARTHEST = 100.0
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
        return torch.from_numpy(self.vocabulary.encode(as_ids(column)))


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
        return torch.from_numpy(hash_strings(as_strings(column), self.buckets))


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
    """A number with the train part's mean taken off, over its deviation: `[rows, 2]`, value and missing.

    A value more than `FARTHEST` deviations away counts as that far, so that no later row, however wild,
    turns a score into infinity.
    """

    mean: float
    deviation: float
    shape: Literal["dense"] = "dense"
    size: int = 2

    def encode(self, column: pl.Series) -> Tensor:
        """Encode a column."""
        numbers = finite_numbers(column)
        missing = np.isnan(numbers)
        distances = ((numbers - self.mean) / self.deviation).clip(-FARTHEST, FARTHEST)
        values = np.where(missing, 0.0, distances)
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
        return self.encode_seconds(torch.from_numpy(finite_seconds(column)))

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
        # Bounded, so that a model served for years meets no wild input.
        age = ((known - self.origin) / self.scale).clamp(-4, 4)
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
        words = as_strings(column).fill_null("").str.to_lowercase().str.extract_all(r"[\p{L}\p{N}]+")
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
        indices = torch.from_numpy(self.vocabulary.encode(flat))
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
