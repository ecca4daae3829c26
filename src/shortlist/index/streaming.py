"""Exact search over vectors that do not fit in memory, one batch of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.errors import DataError, ShapeError
from shortlist.index.filters import Exclude, as_where, evaluate_where, exclusions
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
from shortlist.index.sources import ArrowTable, Batch, NpyFile, read_ahead
from shortlist.kernels import Segment, check_k, search_segments

BatchFilter = pl.Expr | Callable[[pl.Series], NDArray[np.bool_]]


class Streaming:
    """Exact nearest items among batches that are read anew for each search.

    One search reads everything once, however many queries it has: ask many at a time. The next batch is read
    while one is searched.

    Args:
        source: gives the batches from the beginning each time it is called: `Batch`es, or plain tuples
            `(ids, vectors)`.
        dim: width of the vectors, at most 65,536.
        metric: `"dot"`, `"cosine"`, or `"l2"`, whose score is minus the squared distance.
        threads: of one search; PyTorch's number by default.

    Raises:
        ConfigError: an unknown metric.
    """

    def __init__(
        self,
        source: Callable[[], Iterable[Batch | tuple[Ids, Vectors]]],
        dim: int,
        *,
        metric: Metric = "dot",
        threads: int | None = None,
    ) -> None:
        self.source = source
        self.dim = dim
        self.metric: Metric = check_metric(metric)
        self.threads = threads

    @classmethod
    def from_npy(
        cls,
        path: str | Path,
        *,
        ids: Ids | None = None,
        metric: Metric = "dot",
        threads: int | None = None,
    ) -> Self:
        """Search a `.npy` file of float32 `[n, dim]`, which is mapped and not read as a whole.

        Args:
            path: the file.
            ids: `[n]`; the row numbers by default.
            metric: as for the class.
            threads: as for the class.

        Raises:
            ShapeError: the file holds no matrix, or not as many rows as there are ids.
        """
        source = NpyFile(path, ids)
        return cls(source, source.dim, metric=metric, threads=threads)

    @classmethod
    def from_arrow(
        cls,
        path: str | Path,
        *,
        id_column: str,
        vector_column: str,
        metric: Metric = "dot",
        threads: int | None = None,
    ) -> Self:
        """Search a Parquet or Arrow file, or a folder of Parquet files.

        Args:
            path: the file or folder.
            id_column: strings or integers.
            vector_column: lists of float32, all of one length. The other columns can be used in `where`.
            metric: as for the class.
            threads: as for the class.

        Raises:
            DataError: there are no rows, or a column is missing.
        """
        source = ArrowTable(path, id_column, vector_column)
        return cls(source, source.dim, metric=metric, threads=threads)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        exclude: Exclude | None = None,
        where: BatchFilter | None = None,
    ) -> SearchResults:
        """Find the best k items of each query.

        Args:
            queries: `[batch, dim]` or `[dim]` float32.
            k: results a query, at least 1.
            exclude: ids that a query must not get: one list a query (a plain list for a single query), or a
                Ragged of integer ids. Unknown ids do no harm.
            where: a Polars predicate over the batches' items (null is false), or a function from a batch's
                ids to a bool array.

        Returns:
            Ids and scores, `[batch, min(k, items)]`, or without the first axis for a single query; ties go to
            the item that comes first.

        Raises:
            ShapeError, ConfigError, DataError: arguments or batches that do not fit, each named.
        """
        matrix, single = as_queries(queries, self.dim)
        matrix = normalised(matrix) if self.metric == "cosine" else matrix
        excluded = None
        if exclude is not None:
            ids, lengths = exclusions(exclude, len(matrix), single=single)
            excluded = pl.DataFrame({"id": ids, "query": np.arange(len(matrix)).repeat(lengths)})
        best = _Best(len(matrix), check_k(k))
        for number, batch in enumerate(read_ahead(self.source())):
            try:
                best.add(*self._search_batch(batch, matrix, k, excluded, where))
            except (DataError, ShapeError) as error:
                raise type(error)(error.what, where=f"batch {number}", remedy=error.remedy) from error
        found, scores = best.ids, best.scores.astype(np.float32)
        return SearchResults(found[0], scores[0]) if single else SearchResults(found, scores)

    def _search_batch(
        self,
        batch: Batch,
        queries: NDArray[np.float32],
        k: int,
        excluded: pl.DataFrame | None,
        where: BatchFilter | None,
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        ids, vectors = as_ids(batch.ids), as_matrix(batch.vectors, self.dim, "vectors")
        if len(ids) != len(vectors):
            raise ShapeError(f"{len(ids)} ids for {len(vectors)} vectors", remedy="give one id a vector")
        if len(ids) == 0:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0))
        rows, scores = search_segments(
            [Segment(normalised(vectors) if self.metric == "cosine" else vectors)],
            queries,
            min(k, len(ids)),
            metric="l2" if self.metric == "l2" else "dot",
            exclude=None if excluded is None else _excluded_rows(excluded, ids, len(queries)),
            where=None if where is None else _allowed_rows(where, ids, batch.items),
            threads=self.threads,
        )
        return ids_at(ids, rows), scores


class _Best:
    """The best k of the batches so far."""

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self.ids: NDArray[Any] = np.empty((queries, 0), np.int64)
        self.scores = np.empty((queries, 0), np.float64)

    def add(self, ids: NDArray[Any], scores: NDArray[np.float64]) -> None:
        if self.ids.shape[1] and ids.shape[1] and self.ids.dtype != ids.dtype:
            raise DataError("ids are strings in one batch and integers in another", remedy="give one kind")
        ids = np.concatenate([self.ids, ids], 1) if self.ids.shape[1] else ids
        scores = np.concatenate([self.scores, scores], 1)
        # A stable sort: what came first stays first where scores are equal.
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.k]
        self.ids, self.scores = np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1)


def _excluded_rows(
    excluded: pl.DataFrame, ids: pl.Series, queries: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if len(excluded) and len(ids) and excluded["id"].dtype != ids.dtype:
        raise DataError(
            f"excluded ids are {excluded['id'].dtype}, those searched {ids.dtype}", remedy="use one kind"
        )
    rows = pl.DataFrame({"id": ids, "row": np.arange(len(ids))})
    pairs = excluded.cast({"id": ids.dtype}).join(rows, on="id").sort("query")
    lengths = np.bincount(pairs["query"].to_numpy(), minlength=queries)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    return pairs["row"].to_numpy().copy(), offsets


def _allowed_rows(where: BatchFilter, ids: pl.Series, items: pl.DataFrame | None) -> NDArray[np.bool_]:
    return evaluate_where(where, items) if isinstance(where, pl.Expr) else as_where(where(ids), len(ids))
