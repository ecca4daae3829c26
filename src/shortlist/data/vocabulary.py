"""The one place where outside ids become dense indices and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.arrow_files import read_arrow
from shortlist.data.lookup import Lookup, categories, category_counts, category_positions, is_sparse
from shortlist.errors import BundleError, DataError, UnknownIdError

Int64Array = NDArray[np.int64]

WHOLE = re.compile(r"-?[0-9]{1,18}")  # an integer that surely fits 64 bits


class Vocabulary:
    """Outside ids (strings or integers) and their dense indices; index 0 is the unknown.

    Ids are ordered by descending count, so the ids seen at least `n` times are a prefix, and the hot
    rows of an embedding table lie together.

    Args:
        ids: distinct, non-null ids of dtype String or Int64; `ids[i]` gets index `i + 1`.
        counts: `[len(ids) + 1]` int64, how often each index was seen when fitted; `counts[0]` is 0.

    Raises:
        DataError: the ids are neither strings nor integers, repeat, or hold a null.
    """

    def __init__(self, ids: pl.Series, counts: Int64Array | None = None) -> None:
        self.ids = normalise_ids(ids).rename("id")
        if self.ids.null_count() or self.ids.n_unique() != len(self.ids):
            raise DataError(
                "the ids of a vocabulary must be distinct and not null", remedy="use Vocabulary.fit"
            )
        self.counts: Int64Array = np.zeros(len(ids) + 1, np.int64) if counts is None else counts
        if len(self.counts) != len(self.ids) + 1:
            raise DataError(
                f"{len(self.counts)} counts for {len(self.ids)} ids", remedy="one more count than ids"
            )
        self._lookup = Lookup(self.ids)

    def __len__(self) -> int:
        """Number of indices, the unknown counted: the number of rows of an embedding table."""
        return len(self.ids) + 1

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.ids):,} {'integers' if self.holds_integers else 'strings'})"

    @property
    def holds_integers(self) -> bool:
        """Whether the ids are integers rather than strings."""
        return self.ids.dtype == pl.Int64

    @classmethod
    def fit(cls, series: pl.Series, *, extra: pl.Series | None = None) -> Vocabulary:
        """Collect the distinct ids of a column.

        Args:
            series: ids of an integer, String, Categorical or Enum dtype; nulls are skipped.
            extra: ids to know although they may not occur, such as the rows of an item table; those
                that do not occur come last, in their own order, with a count of 0.

        Returns:
            A vocabulary ordered by descending count, equal counts by ascending id.
        """
        ids, counts = _count(series)
        table = pl.DataFrame({"id": ids, "count": counts}).sort("count", "id", descending=[True, False])
        if extra is not None:
            known = normalise_ids(extra).drop_nulls().unique(maintain_order=True).rename("id")
            if len(ids) and known.dtype != table["id"].dtype:
                raise DataError(
                    f"ids are {table['id'].dtype} in one table and {known.dtype} in the other",
                    where=f"column {series.name!r}",
                    remedy="cast both columns to the same type",
                )
            table = table if len(ids) else table.with_columns(pl.col("id").cast(known.dtype))
            unseen = known.to_frame().join(table, on="id", how="anti", maintain_order="left")
            table = pl.concat([table, unseen.with_columns(count=pl.lit(0, pl.Int64))])
        with_unknown = np.concatenate([np.zeros(1, np.int64), table["count"].to_numpy()])
        return cls(table["id"], with_unknown)

    def encode(self, ids: pl.Series | Sequence[Any] | NDArray[Any]) -> Int64Array:
        """Turn ids into indices.

        Args:
            ids: any number of ids; numbers written as strings (and the reverse) are understood.

        Returns:
            `[len(ids)]` int64 indices, writable; 0 where the id is null or unknown.

        Raises:
            DataError: the ids are of mixed types, or neither strings nor numbers.
        """
        series = ids if isinstance(ids, pl.Series) else _as_series(ids)
        if is_categorical(series):
            return self._encode_categorical(series)
        return self._lookup.find(self._coerce(series))

    def encode_texts(self, ids: Sequence[str | None]) -> Int64Array:
        """As `encode`, for a few ids as text: what a request names is found without a column being made.

        Args:
            ids: texts; None is nobody.
        """
        if self.holds_integers and all(each is not None and WHOLE.fullmatch(each) for each in ids):
            return self._lookup.find_numbers(np.array(ids, dtype=np.int64))
        return self.encode(pl.Series(ids, dtype=pl.String))

    def index_of(self, id_: str | int) -> int:
        """The index of one id.

        Raises:
            UnknownIdError: the vocabulary does not hold it.
        """
        index = int(self.encode([id_])[0])
        if index == 0:
            kind = "integers" if self.holds_integers else "strings"
            raise UnknownIdError(
                f"id {id_!r} is not among the {len(self.ids):,} known",
                remedy=f"check its spelling and type: the vocabulary holds {kind}",
            )
        return index

    def decode(self, indices: NDArray[np.integer[Any]] | Sequence[int]) -> pl.Series:
        """Turn indices into ids.

        Args:
            indices: any number of indices in `0..len(self) - 1`.

        Returns:
            A Series of ids, null for index 0.
        """
        rows = np.asarray(indices, dtype=np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise UnknownIdError(
                f"an index outside 0..{len(self) - 1}", remedy="decode with the vocabulary that encoded"
            )
        if len(rows) and rows.min() > 0:
            found = self.ids[rows - 1] if self._numbers is None else pl.Series(self._numbers[rows - 1])
            return found.alias("id")
        return self.ids.gather(pl.Series(rows - 1).set(pl.Series(rows == 0), None))

    def ids_of(self, indices: Int64Array) -> list[Any]:
        """As `decode`, as a plain list.

        Args:
            indices: `[n]`, from 0 to `len(self) - 1`.
        """
        if self._numbers is None or (len(indices) and not 0 < indices.min() <= indices.max() < len(self)):
            return self.decode(indices).to_list()
        ids: list[Any] = self._numbers[indices - 1].tolist()
        return ids

    def num_seen(self, min_count: int = 1) -> int:
        """How many ids were seen at least `min_count` times; their indices are `1..num_seen`."""
        return int(np.searchsorted(-self.counts[1:], -min_count, side="right"))

    def extend(self, series: pl.Series) -> Vocabulary:
        """A vocabulary that also knows the ids of a column; present indices stay.

        Args:
            series: ids; the new ones get the next indices, in order of appearance, with a count of 0.

        Raises:
            DataError: an id is not of the vocabulary's type.
        """
        distinct = series.drop_nulls().unique(maintain_order=True)
        coerced = self._coerce(distinct)
        if coerced.null_count():
            kind = "integers" if self.holds_integers else "strings"
            raise DataError(
                f"id {distinct.filter(coerced.is_null())[0]!r} cannot join a vocabulary of {kind}",
                where=f"column {series.name!r}",
                remedy="give ids of one type",
            )
        new = coerced.filter(pl.Series(self._lookup.find(coerced) == 0)).unique(maintain_order=True)
        ids = pl.concat([self.ids, new.rename("id")])
        return Vocabulary(ids, np.concatenate([self.counts, np.zeros(len(new), np.int64)]))

    def save(self, path: str | Path) -> None:
        """Write an Arrow file with the columns `id` and `count`."""
        pl.DataFrame({"id": self.ids, "count": self.counts[1:]}).write_ipc(path)

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Read what `save` wrote.

        Raises:
            BundleError: the file is not such an Arrow file.
        """
        try:
            table = read_arrow(
                Path(path).read_bytes(), where=str(path)
            )  # a mapped file could not be replaced
            return cls(table["id"], np.concatenate([np.zeros(1, np.int64), table["count"].to_numpy()]))
        except (BundleError, DataError, OSError, pl.exceptions.PolarsError) as error:
            raise BundleError(
                f"not a vocabulary: {error}", where=str(path), remedy="restore the file or save it again"
            ) from error

    @cached_property
    def _numbers(self) -> Int64Array | None:
        """`[len(ids)]` the ids where they are integers: an array gives them out sooner than a Series."""
        return self.ids.to_numpy() if self.holds_integers else None

    def _coerce(self, series: pl.Series) -> pl.Series:
        """Bring ids to the vocabulary's own type; null where that cannot be."""
        wanted = pl.Int64 if self.holds_integers else pl.String
        if series.dtype == pl.Null or len(series) == 0:
            return pl.Series(series.name, [None] * len(series), dtype=wanted)
        if series.dtype == wanted:
            return series
        if series.dtype.is_float() or series.dtype.is_decimal():
            series = series.set(~(series.round(0) == series).fill_null(False), None).cast(
                pl.Int64, strict=False
            )
        elif not (series.dtype.is_integer() or series.dtype == pl.String or is_categorical(series)):
            normalise_ids(series)  # raises, naming the type
        return series.cast(wanted, strict=False)

    def _encode_categorical(self, series: pl.Series) -> Int64Array:
        codes, names = categories(series)
        if is_sparse(codes, len(series)):
            return self._lookup.find(self._coerce(series.cast(pl.String)))
        return category_positions(series, codes, self.encode(names))


def fit_ids(ids: pl.Series, table: pl.DataFrame | None) -> Vocabulary:
    """The vocabulary of a column of ids, and of a table that describes them.

    Args:
        ids: the column; its name is that of the table's id column.
        table: one row an id, or None.
    """
    return Vocabulary.fit(ids, extra=None if table is None else table[ids.name])


def is_categorical(series: pl.Series) -> bool:
    """Whether a column holds codes of categories."""
    return isinstance(series.dtype, (pl.Categorical, pl.Enum))


def normalise_ids(series: pl.Series) -> pl.Series:
    """Bring a column of ids to String or Int64.

    Args:
        series: of an integer, String, Categorical, Enum or Null dtype.

    Raises:
        DataError: the column holds neither strings nor integers, or integers beyond 64 bits with sign.
    """
    if series.dtype == pl.String or series.dtype == pl.Int64:
        return series
    if series.dtype.is_integer():
        narrow = series.cast(pl.Int64, strict=False)
        if narrow.null_count() > series.null_count():
            raise DataError(
                f"ids must lie within 64 bits with sign, got {series.max()!r}",
                where=f"column {series.name!r}",
                remedy="cast the column to String",
            )
        return narrow
    if is_categorical(series) or series.dtype == pl.Null:
        return series.cast(pl.String)
    raise DataError(
        f"ids must be strings or integers, got {series.dtype}",
        where=f"column {series.name!r}",
        remedy="cast the column to String or Int64",
    )


def _as_series(ids: Sequence[Any] | NDArray[Any]) -> pl.Series:
    try:
        return pl.Series(values=ids)
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        kinds = sorted({type(each).__name__ for each in ids})
        raise DataError(
            f"ids must be strings or integers of one type, got {', '.join(kinds)}",
            remedy="convert them all to one type",
        ) from error


def _count(series: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Distinct ids and their counts, in any order."""
    if is_categorical(series):
        codes, names = categories(series)
        if not is_sparse(codes, len(series)):
            return names, pl.Series(category_counts(series, codes))
    table = normalise_ids(series).rename("id").drop_nulls().value_counts(name="count")
    return table["id"], table["count"].cast(pl.Int64)
