"""The exact index: every item's score is decided, none is estimated."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.errors import ConfigError, DataError, NotFittedError, ShapeError
from shortlist.index.filters import Exclude, Where, allowed_slots, excluded_slots
from shortlist.index.ids import unknown_id
from shortlist.index.inputs import (
    Ids,
    Metric,
    Vectors,
    as_ids,
    as_matrix,
    as_queries,
    check_metric,
    normalised,
)
from shortlist.index.results import SearchResults, ids_at
from shortlist.index.snapshot import Snapshot
from shortlist.index.storage import read_index, write_index
from shortlist.kernels import check_finite, check_k, search_segments


class BruteForce:
    """Exact nearest items by inner product, cosine or distance.

    A search reads eight-bit codes of the vectors, a quarter of their size, and scores exactly what these
    leave in doubt; the answer is that of scoring everything in double precision. Searches may run on any
    number of threads while another one adds, updates or removes: each sees the index before or after.

    Args:
        dim: width of the vectors, at most 65,536.
        metric: `"dot"`, `"cosine"`, or `"l2"`, whose score is minus the squared distance.
        threads: of one search; PyTorch's number by default.

    Raises:
        ConfigError: an unknown metric, or a dim out of range.
    """

    def __init__(self, dim: int, *, metric: Metric = "dot", threads: int | None = None) -> None:
        if not 1 <= dim <= 65536:
            raise ConfigError(f"dim is {dim}", remedy="use the width of the vectors, 1 to 65,536")
        self.dim = dim
        self.metric: Metric = check_metric(metric)
        self.threads = threads
        self._snapshot: Snapshot | None = None
        self._writing = threading.Lock()

    def __len__(self) -> int:
        return 0 if self._snapshot is None else len(self._snapshot.live_slots)

    def __contains__(self, id_: object) -> bool:
        snapshot = self._snapshot
        if snapshot is None or not isinstance(id_, (str, int, np.integer)) or isinstance(id_, bool):
            return False
        same_kind = snapshot.table.holds_integers != isinstance(id_, str)
        return same_kind and bool(snapshot.holds(pl.Series(values=[id_]))[0])

    def __repr__(self) -> str:
        return f"BruteForce(dim={self.dim}, metric={self.metric!r}, items={len(self):,})"

    @property
    def ids(self) -> NDArray[Any]:
        """`[len(self)]` the ids, int64 or objects, in the order they first came: the order of `where`."""
        return self._fitted().live_ids.to_numpy()

    def fit(self, ids: Ids, vectors: Vectors, *, items: pl.DataFrame | None = None) -> Self:
        """Replace all that the index holds.

        Args:
            ids: `[n]` distinct integers or strings.
            vectors: `[n, dim]` float32; they are copied.
            items: one row an id, in the same order, for `where` expressions.

        Returns:
            The index itself.

        Raises:
            ShapeError: vectors of another dtype or shape, or not as many as ids.
            DataError: ids that repeat or are null, or a vector with a NaN or an infinite value.
        """
        series, matrix = self._check(ids, vectors, items)
        # A copy, so that the caller may go on training the tensor; normalising has made one already.
        matrix = matrix if self.metric == "cosine" else matrix.copy()
        snapshot = Snapshot.of(series, matrix, items, threads=self.threads)
        with self._writing:
            self._snapshot = snapshot
        return self

    def add(self, ids: Ids, vectors: Vectors, *, items: pl.DataFrame | None = None) -> None:
        """Add items; the next search finds them. An id that was removed before gets its old place in `ids`.

        Args:
            ids: `[n]` distinct, none of them in the index.
            vectors: `[n, dim]` float32; they are copied.
            items: one row an id, with the columns of the table given to `fit`, if there was one.

        Raises:
            ShapeError, DataError: as `fit`; also an id that the index holds, or items missing or not wanted.
        """
        series, matrix = self._check(ids, vectors, items)
        check_finite(matrix, "vector")
        with self._writing:
            snapshot = self._snapshot
            if snapshot is None or len(snapshot.ids) == 0:
                self._snapshot = Snapshot.of(series, matrix.copy(), items, threads=self.threads)
                return
            present = snapshot.holds(series)
            if present.any():
                raise DataError(
                    f"id {series[int(np.argmax(present))]!r} is already in the index",
                    remedy="use update() to replace its vector",
                )
            if snapshot.items is not None and items is None:
                raise DataError(
                    "the index has an item table", where="items", remedy="pass items= with a row an id"
                )
            rows = _same_columns(snapshot, items)
            self._snapshot = snapshot.put(series, matrix, rows, threads=self.threads)

    def update(self, ids: Ids, vectors: Vectors, *, items: pl.DataFrame | None = None) -> None:
        """Replace the vectors of items, which keep their places in `ids`; the next search sees them.

        Args:
            ids: `[n]` distinct, all of them in the index.
            vectors: `[n, dim]` float32; they are copied.
            items: new rows of the item table; the old ones stay by default.

        Raises:
            UnknownIdError: an id that the index does not hold.
            ShapeError, DataError: as `add`.
        """
        series, matrix = self._check(ids, vectors, items)
        check_finite(matrix, "vector")
        with self._writing:
            snapshot = self._fitted()
            _require_held(snapshot, series)
            rows = _same_columns(snapshot, items)
            self._snapshot = snapshot.put(series, matrix, rows, threads=self.threads)

    def remove(self, ids: Ids) -> None:
        """Remove items; the next search cannot return them.

        Raises:
            UnknownIdError: an id that the index does not hold; nothing is removed then.
        """
        series = as_ids(ids)
        with self._writing:
            snapshot = self._fitted()
            _require_held(snapshot, series)
            self._snapshot = snapshot.without(snapshot.find(series), threads=self.threads)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        exclude: Exclude | None = None,
        where: Where | None = None,
    ) -> SearchResults:
        """Find the best k items of each query.

        Exclusions and the filter are part of the search: k items come back whenever k are allowed.

        Args:
            queries: `[batch, dim]` or `[dim]` float32.
            k: results a query, at least 1.
            exclude: ids that a query must not get: one list a query (a plain list for a single query), or a
                Ragged of integer ids. Ids that the index does not hold do no harm.
            where: bool over `ids`, or a Polars predicate over the item table (null is false).

        Returns:
            Ids and scores, `[batch, min(k, len(self))]`, or without the first axis for a single query.

        Raises:
            NotFittedError: the index was never filled.
            ShapeError, ConfigError, DataError: arguments that do not fit, each named.
        """
        snapshot = self._fitted()
        matrix, single = as_queries(queries, self.dim)
        excluded = None
        if exclude is not None:
            excluded = excluded_slots(snapshot, exclude, len(matrix), single=single)
        slots, scores = search_segments(
            snapshot.segments,
            normalised(matrix) if self.metric == "cosine" else matrix,
            min(check_k(k), len(snapshot.live_slots)),
            metric="l2" if self.metric == "l2" else "dot",
            exclude=excluded,
            where=None if where is None else allowed_slots(snapshot, where),
            threads=self.threads,
        )
        ids, rounded = ids_at(snapshot.ids, slots), scores.astype(np.float32)
        return SearchResults(ids[0], rounded[0]) if single else SearchResults(ids, rounded)

    def save(self, path: str | Path) -> None:
        """Write the index to one file, whole or not at all: an older file stays until the new one is done.

        Raises:
            NotFittedError: the index was never filled.
        """
        write_index(
            Path(path), self._fitted().compacted(threads=self.threads), dim=self.dim, metric=self.metric
        )

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> BruteForce:
        """Read a file that `save` wrote. Vectors and codes stay in the file and are mapped into memory.

        Args:
            path: the file; it must not be written to while the index lives.
            threads: of one search; PyTorch's number by default.

        Raises:
            BundleError: a damaged or foreign file, or one from a newer version.
        """
        snapshot, dim, metric = read_index(Path(path))
        index = cls(dim, metric=metric, threads=threads)
        index._snapshot = snapshot
        return index

    def _fitted(self) -> Snapshot:
        if self._snapshot is None:
            raise NotFittedError("the index is empty", remedy="call fit(ids, vectors) first")
        return self._snapshot

    def _check(
        self, ids: Ids, vectors: Vectors, items: pl.DataFrame | None
    ) -> tuple[pl.Series, NDArray[np.float32]]:
        series, matrix = as_ids(ids), as_matrix(vectors, self.dim, "vectors")
        if len(series) != len(matrix):
            raise ShapeError(f"{len(series)} ids for {len(matrix)} vectors", remedy="pass one id a vector")
        if items is not None and len(items) != len(series):
            raise ShapeError(
                f"{len(items)} items for {len(series)} ids", remedy="pass one row an id, in order"
            )
        return series, normalised(matrix) if self.metric == "cosine" else matrix


def _require_held(snapshot: Snapshot, ids: pl.Series) -> None:
    held = snapshot.holds(ids)
    if not held.all():
        raise unknown_id(ids, ~held, len(snapshot.live_slots))


def _same_columns(snapshot: Snapshot, items: pl.DataFrame | None) -> pl.DataFrame | None:
    """New rows for the item table, or None; refuses rows that do not fit it."""
    if items is None:
        return None
    if snapshot.items is None:
        raise DataError("the index has no item table", where="items", remedy="give fit() the whole table")
    wanted = snapshot.items.schema
    try:
        return items.select(pl.col(name).cast(dtype) for name, dtype in wanted.items())
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the rows do not fit the item table: {error}",
            where="items",
            remedy=f"its columns are {dict(wanted)}",
        ) from error
