"""From vectors to the first state of an approximate index, measured and ready."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.index.effort import EffortCurve
from shortlist.index.leaf_state import LeafState, Settings
from shortlist.index.leaf_trial import Trial, best_reach, least_slack, likely_queries, measure_efforts
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
    exact = build_part(
        vectors,
        metric=settings.metric,
        by_length=settings.by_length,
        seed=settings.seed,
        threads=settings.threads,
        progress=progress,
    )
    base = without_vectors(exact) if settings.compact else exact
    base, curve = measured(settings, base, queries, exact=exact)
    return LeafState(settings, Roster.of(ids, items), base, curve=curve, queries=queries)


def measured(
    settings: Settings,
    base: Part,
    queries: NDArray[np.float32] | None,
    *,
    known: EffortCurve | None = None,
    exact: Part | None = None,
) -> tuple[Part, EffortCurve | None]:
    """A part with the reach and slack that find most, and its recall by effort; None where it has no leaves.

    Args:
        settings: of the index.
        base: what will be searched.
        queries: `[m, dim]` to measure with; likely ones by default.
        known: the curve of the same leaves before vectors joined them: then nothing is measured.
        exact: the same vectors, in full where there are any.
    """
    if base.leaves is None or known is not None:
        return base, None if base.leaves is None else known
    exact = exact or base
    if queries is None or len(queries) == 0:
        vectors = decoded(exact) if exact.vectors is None else exact.vectors
        queries = likely_queries(vectors, metric=settings.metric, seed=settings.seed)
    trial = Trial(exact, queries, settings.metric, settings.threads)
    reach = best_reach(base, trial)
    base = base.reaching(reach)
    if base.rows.rest is not None:
        base = base.reaching(reach, slack=least_slack(base, trial))
    return base, measure_efforts(base, trial)
