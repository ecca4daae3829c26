"""The exact index: every item's score is decided, none is estimated."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.index.filters import Exclude, Where, allowed_slots, excluded_slots
from shortlist.index.inputs import Ids, Vectors, as_queries, normalised
from shortlist.index.item_index import ItemIndex
from shortlist.index.results import SearchResults
from shortlist.index.snapshot import Snapshot
from shortlist.index.storage import read_index, write_index
from shortlist.kernels import check_k, search_segments


class BruteForce(ItemIndex[Snapshot]):
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

    max_dim = 65536

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
        state = self._new_state(series, matrix, items)
        with self._writing:
            self._state = state
        return self

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
        state = self._fitted()
        matrix, single = as_queries(queries, self.dim)
        excluded = None
        if exclude is not None:
            excluded = excluded_slots(state.roster, exclude, len(matrix), single=single)
        slots, scores = search_segments(
            state.segments,
            normalised(matrix) if self.metric == "cosine" else matrix,
            min(check_k(k), len(state.roster.live_slots)),
            metric="l2" if self.metric == "l2" else "dot",
            exclude=excluded,
            where=None if where is None else allowed_slots(state.roster, where),
            threads=self.threads,
        )
        ids, rounded = state.roster.ids_at(slots), scores.astype(np.float32)
        return SearchResults(ids[0], rounded[0]) if single else SearchResults(ids, rounded)

    def save(self, path: str | Path) -> None:
        """Write the index to one file, whole or not at all: an older file stays until the new one is done.

        Raises:
            NotFittedError: the index was never filled.
        """
        write_index(Path(path), self._fitted().compacted(), dim=self.dim, metric=self.metric)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> BruteForce:
        """Read a file that `save` wrote. Vectors and codes stay in the file and are mapped into memory.

        Args:
            path: the file; it must not be written to while the index lives.
            threads: of one search; PyTorch's number by default.

        Raises:
            BundleError: a damaged or foreign file, or one from a newer version.
        """
        snapshot, dim, metric = read_index(Path(path), threads=threads)
        index = cls(dim, metric=metric, threads=threads)
        index._state = snapshot
        return index

    def _new_state(
        self, ids: pl.Series, vectors: NDArray[np.float32], items: pl.DataFrame | None
    ) -> Snapshot:
        return Snapshot.of(ids, vectors, items, threads=self.threads)
