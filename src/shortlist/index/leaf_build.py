"""From vectors to the first state of an approximate index."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.index.effort import EffortCurve, likely_queries, measure_efforts
from shortlist.index.leaf_state import LeafState, Settings
from shortlist.index.leaves import Progress, build_part, decoded, without_vectors
from shortlist.index.roster import Roster
from shortlist.kernels.leaves import Part


def built_state(
    settings: Settings,
    ids: pl.Series,
    vectors: NDArray[np.float32],
    items: pl.DataFrame | None,
    *,
    queries: NDArray[np.float32] | None = None,
    progress: Progress | None = None,
) -> LeafState:
    """Cluster and code items, and measure what recall which effort gives.

    Args:
        settings: of the index.
        ids: `[n]` distinct.
        vectors: `[n, dim]` float32, finite; kept, not copied, unless the index is compact.
        items: one row an id, or None.
        queries: `[m, dim]` to measure with; likely ones by default.
        progress: called with what is being done and the share that is done.
    """
    base = build_part(
        vectors,
        metric=settings.metric,
        by_length=settings.by_length,
        seed=settings.seed,
        threads=settings.threads,
        progress=progress,
    )
    kept = without_vectors(base) if settings.compact else base
    curve = measured_curve(settings, kept, base, queries)
    return LeafState(settings, Roster.of(ids, items), kept, curve=curve, queries=queries)


def curve_of(
    settings: Settings, base: Part, known: EffortCurve | None, queries: NDArray[np.float32] | None
) -> EffortCurve | None:
    """The recall by effort of a base that vectors were joined to; None where it has no leaves.

    Args:
        settings: of the index.
        base: what will be searched.
        known: the curve of the same leaves before the vectors came; one is measured where there was none.
        queries: `[m, dim]` to measure with; likely ones by default.
    """
    if base.leaves is None:
        return None
    return known or measured_curve(settings, base, base, queries)


def measured_curve(
    settings: Settings, base: Part, exact: Part, queries: NDArray[np.float32] | None = None
) -> EffortCurve | None:
    """The recall by effort of a part; None where it has no leaves.

    Args:
        settings: of the index.
        base: what will be searched.
        exact: the same vectors, in full where there are any.
        queries: `[m, dim]` to measure with; likely ones by default.
    """
    if base.leaves is None:
        return None
    if queries is None or len(queries) == 0:
        vectors = decoded(exact) if exact.vectors is None else exact.vectors
        queries = likely_queries(vectors, metric=settings.metric, seed=settings.seed)
    return measure_efforts(base, exact, queries, metric=settings.metric, threads=settings.threads)
