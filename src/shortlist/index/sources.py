"""Batches of candidates out of files, for `Streaming`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.errors import DataError, ShapeError
from shortlist.index.inputs import Ids, Vectors, as_ids

# Rows read at a time: 16 MB of 64 floats each.
BATCH_ROWS = 1 << 16


class Batch(NamedTuple):
    """Some of the candidates.

    Attributes:
        ids: `[n]` distinct integers or strings; no id may come in two batches.
        vectors: `[n, dim]` float32.
        items: one row an id, for `where` expressions.
    """

    ids: Ids
    vectors: Vectors
    items: pl.DataFrame | None = None


class NpyFile:
    """The rows of a `.npy` file of a matrix, mapped and not read as a whole.

    Args:
        path: the file.
        ids: `[n]`; the row numbers by default.

    Raises:
        ShapeError: the file holds no matrix, or not as many rows as there are ids.
    """

    def __init__(self, path: str | Path, ids: Ids | None) -> None:
        self._vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        if self._vectors.ndim != 2:
            raise ShapeError(
                f"an array of shape {list(self._vectors.shape)}",
                where=str(path),
                remedy="save one vector a row",
            )
        self._ids = pl.Series(np.arange(len(self._vectors))) if ids is None else as_ids(ids)
        if len(self._ids) != len(self._vectors):
            raise ShapeError(
                f"{len(self._ids)} ids for {len(self._vectors)} vectors", remedy="pass one id a vector"
            )

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self._vectors.shape[1])

    def __call__(self) -> Iterator[Batch]:
        """All rows, from the first."""
        for start in range(0, len(self._vectors), BATCH_ROWS):
            end = start + BATCH_ROWS
            yield Batch(self._ids[start:end], self._vectors[start:end])


class ArrowTable:
    """The rows of a Parquet or Arrow file, or of a folder of Parquet files.

    Args:
        path: the file or folder.
        id_column: strings or integers.
        vector_column: lists of float32, all of one length.

    Raises:
        DataError: there are no rows, or a column is missing.
    """

    def __init__(self, path: str | Path, id_column: str, vector_column: str) -> None:
        from pyarrow import dataset

        kind = "parquet" if Path(path).is_dir() or Path(path).suffix in (".parquet", ".pq") else "ipc"
        self._table = dataset.dataset(path, format=kind)
        self._id_column, self._vector_column = id_column, vector_column
        known = self._table.schema.names
        for column in (id_column, vector_column):
            if column not in known:
                raise DataError(
                    f"no column {column!r}", where=str(path), remedy=f"it has the columns {known}"
                )
        first = next(iter(self()), None)
        if first is None:
            raise DataError("there are no rows", where=str(path), remedy="write some vectors first")
        self.dim = int(first.vectors.shape[1])

    def __call__(self) -> Iterator[Batch]:
        """All rows, from the first."""
        for part in self._table.to_batches(batch_size=BATCH_ROWS):
            frame = pl.DataFrame(part)
            if len(frame):
                vectors = _matrix(frame[self._vector_column])
                yield Batch(frame[self._id_column], vectors, frame.drop(self._vector_column))


def _matrix(column: pl.Series) -> NDArray[np.float32]:
    lengths = column.list.len() if isinstance(column.dtype, pl.List) else None
    if lengths is not None and (lengths.null_count() or lengths.n_unique() != 1):
        raise DataError(
            "vectors are null or differ in length", where=f"column {column.name!r}", remedy="pad or drop them"
        )
    flat: NDArray[np.float32] = column.explode().to_numpy()
    return flat.reshape(len(column), -1)


def read_ahead(batches: Iterable[Batch | tuple[Ids, Vectors]]) -> Iterator[Batch]:
    """The same batches, each read on another thread while its predecessor is in use."""
    iterator = iter(batches)
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(next, iterator, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, iterator, None)
            yield Batch(*batch)
