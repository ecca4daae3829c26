"""The approximate index: millions of items in tens of microseconds, at a recall that one asks for."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.errors import ConfigError, DataError
from shortlist.index.approximate_storage import read_approximate, write_approximate
from shortlist.index.effort import kept_for
from shortlist.index.filters import Exclude, Where, allowed_slots, excluded_slots
from shortlist.index.inputs import Ids, Metric, Vectors, as_queries, normalised
from shortlist.index.item_index import ItemIndex
from shortlist.index.joiner import Joined, Joiner
from shortlist.index.leaf_build import built_state, measured
from shortlist.index.leaf_filter import FilterCache, filtered, scaled_effort
from shortlist.index.leaf_state import LeafState, Settings
from shortlist.index.leaves import Progress
from shortlist.index.results import SearchResults
from shortlist.kernels import check_finite, check_k
from shortlist.kernels.leaf_codes import MAX_DIM
from shortlist.kernels.leaves import Part, search_parts

# Squares of longer vectors could overflow in float32.
LONGEST = 1e18


class Approximate(ItemIndex[LeafState]):
    """Nearest items by inner product, cosine or distance, found without looking at most of them.

    Items lie in leaves: tiers of like length, and in each tier clusters of like direction. A search ranks all
    leaves by the best score to expect there, looks at the first ones through eight-bit codes, and scores the
    best again in full. How many it looks at is its effort: the index measures, when it is built, which effort
    gives which recall, and takes what the wanted recall needs.

    Searches may run on any number of threads while another one adds, updates or removes: each sees the index
    before or after. When many vectors are new, they join the leaves in the background.

    Args:
        dim: width of the vectors, at most 16,384.
        metric: `"dot"`, `"cosine"`, or `"l2"`, whose score is minus the squared distance.
        recall: the share of the exact results that a search should find on average, above 0 and up to 1.
        compact: whether to keep the codes alone, 72 to 80 bytes for 64 dimensions instead of 330; scores then
            are estimates, good to about a hundredth.
        seed: of the clusters; the same leaves for any number of threads.
        threads: of one search; PyTorch's number by default.

    Raises:
        ConfigError: an unknown metric, or a dim, recall or seed out of range.

    Source: inverted lists (Jégou et al., PAMI 2011) in tiers of norm (Yan et al., NeurIPS 2018).
    """

    max_dim = MAX_DIM

    def __init__(
        self,
        dim: int,
        *,
        metric: Metric = "dot",
        recall: float = 0.95,
        compact: bool = False,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(dim, metric=metric, threads=threads)
        if not 0 < recall <= 1:
            raise ConfigError(f"recall is {recall!r}", remedy="ask for a share above 0 and up to 1")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
            raise ConfigError(f"seed is {seed!r}", remedy="use a whole number from 0, below 2**63")
        self.recall = recall
        self._settings = Settings(
            "l2" if metric == "l2" else "dot", metric == "dot", compact, seed, self.threads
        )
        self._filters = FilterCache()
        self._joiner = Joiner(self._adopt)

    def fit(
        self,
        ids: Ids,
        vectors: Vectors,
        *,
        items: pl.DataFrame | None = None,
        queries: Vectors | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Replace all that the index holds.

        Args:
            ids: `[n]` distinct integers or strings.
            vectors: `[n, dim]` float32; they are copied.
            items: one row an id, in the same order, for `where` expressions.
            queries: `[m, dim]` float32 like those to come, such as users' embeddings, to measure the recall
                with; some hundreds are enough. Mixtures of items by default.
            progress: called with what is being done and the share that is done.

        Returns:
            The index itself.

        Raises:
            ShapeError: vectors of another dtype or shape, or not as many as ids.
            DataError: ids that repeat or are null, a vector with a NaN or an infinite value, or one longer
                than 1e18.
        """
        series, matrix = self._check(ids, vectors, items)
        known_queries = None if queries is None else self._queries(queries)[0]
        # A copy, so that the caller may go on training the tensor; normalising has made one already.
        matrix = matrix if self.metric == "cosine" else matrix.copy()
        state = built_state(self._settings, series, matrix, items, queries=known_queries, progress=progress)
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
        effort: int | None = None,
    ) -> SearchResults:
        """Find about the best k items of each query.

        Exclusions and the filter are part of the search: k items come back whenever k are allowed.

        Args:
            queries: `[batch, dim]` or `[dim]` float32.
            k: results a query, at least 1.
            exclude: ids that a query must not get: one list a query (a plain list for a single query), or a
                Ragged of integer ids. Ids that the index does not hold do no harm.
            where: bool over `ids`, or a Polars predicate over the item table (null is false). The index
                remembers the last predicates.
            effort: about how many allowed items to look at for a query; what the index's recall needs by
                default.

        Returns:
            Ids and scores, `[batch, min(k, len(self))]`, or without the first axis for a single query.

        Raises:
            NotFittedError: the index was never filled.
            ShapeError, ConfigError, DataError: arguments that do not fit, each named.
        """
        state = self._fitted()
        matrix, single = self._queries(queries)
        k = min(check_k(k), len(state.roster.live_slots))
        excluded = None
        if exclude is not None:
            excluded = excluded_slots(state.roster, exclude, len(matrix), single=single)
        parts, share = state.parts, 1.0
        if where is not None:
            parts, share = self._filtered(state, where, len(matrix))
        if k == 0 or not parts:
            slots = np.full((len(matrix), k), -1, np.int64)
            scores = np.full((len(matrix), k), -np.inf, np.float32)
        else:
            slots, scores = search_parts(
                parts,
                matrix,
                k,
                metric=self._settings.metric,
                effort=self._effort(state, k, share) if effort is None else _check_effort(effort),
                keep=kept_for(k),
                exclude=excluded,
                threads=self.threads,
            )
        ids = state.roster.ids_at(slots)
        return SearchResults(ids[0], scores[0]) if single else SearchResults(ids, scores)

    def curve(self, k: int = 10) -> list[tuple[int, float]]:
        """The recall by effort that was measured when the index was built.

        Args:
            k: results a query; the nearest of the measured 10, 100 and 1,000 is taken.

        Returns:
            (effort, recall) pairs, ascending; a single one where every search looks at everything.

        Raises:
            NotFittedError: the index was never filled.
        """
        state = self._fitted()
        return [(len(self), 1.0)] if state.curve is None else state.curve.points(k)

    def memory(self) -> dict[str, int]:
        """Bytes by purpose: `codes`, `leaves`, `vectors`, and their `total`; ids and item table not counted.

        Raises:
            NotFittedError: the index was never filled.
        """
        used = self._fitted().memory
        return used | {"total": sum(used.values())}

    def settle(self) -> None:
        """Wait until no vectors are joining the leaves in the background."""
        self._joiner.wait()

    def forked(self) -> Self:
        """An index with the same items for changes that searches of this one are not to see.

        What has been added is shared, so this one must not be changed any more.
        """
        self.settle()
        fork = copy.copy(self)
        fork._joiner = Joiner(fork._adopt)
        return fork

    def save(self, path: str | Path) -> None:
        """Write the index to one file, whole or not at all: an older file stays until the new one is done.

        Raises:
            NotFittedError: the index was never filled.
        """
        held = self._fitted()
        state = held.renumbered()
        known = held.curve if state.since_training == held.since_training else None
        base, curve = measured(self._settings, state.base, state.queries, known=known)
        state = replace(state, base=base, curve=curve)
        write_approximate(Path(path), state, dim=self.dim, metric=self.metric, recall=self.recall)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Approximate:
        """Read a file that `save` wrote. Vectors and codes stay in the file and are mapped into memory.

        Args:
            path: the file; it must not be written to while the index lives.
            threads: of one search; PyTorch's number by default.

        Raises:
            BundleError: a damaged or foreign file, or one from a newer version.
        """
        state, header = read_approximate(Path(path), threads=threads)
        index = cls(
            int(header["dim"]),
            metric=header["metric"],
            recall=float(header["recall"]),
            compact=state.settings.compact,
            seed=state.settings.seed,
            threads=threads,
        )
        index._state = state
        return index

    def _queries(self, queries: Vectors) -> tuple[NDArray[np.float32], bool]:
        matrix, single = as_queries(queries, self.dim)
        return (normalised(matrix) if self.metric == "cosine" else matrix), single

    def _effort(self, state: LeafState, k: int, share: float) -> float:
        if state.curve is None:
            return np.inf
        return scaled_effort(state.curve.effort_for(k, self.recall), share, state.base.live)

    def _filtered(self, state: LeafState, where: Where, batch: int) -> tuple[list[Part], float]:
        if isinstance(where, pl.Expr):
            return self._filters.get(state, where)
        return filtered(state, allowed_slots(state.roster, where), condense=batch >= 64)

    def _new_state(
        self, ids: pl.Series, vectors: NDArray[np.float32], items: pl.DataFrame | None
    ) -> LeafState:
        return built_state(self._settings, ids, vectors, items)

    def _check(
        self, ids: Ids, vectors: Vectors, items: pl.DataFrame | None
    ) -> tuple[pl.Series, NDArray[np.float32]]:
        series, matrix = super()._check(ids, vectors, items)
        check_finite(matrix, "vector")
        squares = np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
        if len(squares) and squares.max() > LONGEST**2:
            raise DataError(
                f"vector {int(squares.argmax())} is {np.sqrt(squares.max()):.3g} long",
                remedy=f"scale the vectors: they may be up to {LONGEST:.0e} long",
            )
        return series, matrix

    def _changed(self, state: LeafState) -> LeafState:
        return self._joiner.take(state)

    def _adopt(self, taken: LeafState, joined: Joined | None) -> None:
        with self._writing:
            state = self._fitted()
            if state.roster.table is not taken.roster.table:  # fitted anew in the meantime
                return
            if joined is None:
                self._state = replace(state, joining=0)
            else:
                base, curve = joined
                self._state = self._changed(replace(state.adopting(base, taken), curve=curve))


def _check_effort(effort: int) -> float:
    if isinstance(effort, bool) or not isinstance(effort, (int, float, np.number)) or not effort >= 1:
        raise ConfigError(f"effort is {effort!r}", remedy="say how many items to look at, at least 1")
    return float(effort)
