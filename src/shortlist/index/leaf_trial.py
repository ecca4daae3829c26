"""Searches through new leaves, to find out how they are best searched and what recall that gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shortlist.index.effort import EffortCurve, kept_for
from shortlist.kernels.leaves import Part, search_parts
from shortlist.kernels.segments import Metric

QUERIES = 512
DEPTHS = (10, 100, 1000)  # the k at which the curve is measured
STEP = 1.5  # from one effort to the next
SMALLEST = 64.0

# Of queries made up for inner products: how many items are mixed at most, and the length of the noise.
MOST_TASTES, BLUR = 5, 0.7

# Leaves are ranked by the score this many spreads beyond their centroids. Where vectors spread alike in all
# directions the best of some hundred lies about 4 beyond; queries along which they spread more, or less, ask
# for another number.
REACHES = (4.0, 6.0, 8.0, 12.0, 16.0, 3.0, 2.0, 1.5, 1.0)
TUNED_FOR = 0.95  # recall
# How many spreads a row's rest may say more than its leaf's, and the recall that fewer may cost. A search
# that looks at so many vectors finds all the others, so what it misses was passed over. Likely queries are
# blurred in all directions, real ones lie along those in which vectors differ: hence a cost so small.
SLACKS = (16.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.0)
DEEP, COST = 65_536, 0.0002
NEVER_PASSED_OVER = 1e6
WORTHWHILE_SAVING = 0.97  # of the effort; less is luck
PRECISION = 1.05  # of the least effort


@dataclass(frozen=True, eq=False)
class Trial:
    """Queries, and what a search through everything finds for them.

    Args:
        exact: the vectors searched, in full where there are any.
        queries: `[n, dim]` float32.
        metric: `"dot"` or `"l2"`.
        threads: to work with.
    """

    exact: Part
    queries: NDArray[np.float32]
    metric: Metric
    threads: int | None
    _best: dict[int, NDArray[np.int64]] = field(default_factory=dict, init=False, repr=False)

    def recall(self, part: Part, k: int, effort: float) -> float:
        """The share of the exact best k that a search through a part finds.

        Args:
            part: with leaves; it holds the same vectors.
            k: results a query.
            effort: of the search.
        """
        if k not in self._best:
            self._best[k] = self._found(_unhurried(self.exact), k, np.inf, 4 * k + 64)
        return recall(self._found(part, k, max(effort, 2.0 * k), kept_for(k)), self._best[k])

    def _found(self, part: Part, k: int, effort: float, keep: int) -> NDArray[np.int64]:
        labels, _ = search_parts(
            [part], self.queries, k, metric=self.metric, effort=effort, keep=keep, threads=self.threads
        )
        return labels


def _unhurried(part: Part) -> Part:
    """The same part where no vector is passed over for its head."""
    return part if part.leaves is None else part.reaching(part.leaves.reach, slack=NEVER_PASSED_OVER)


def depths_of(part: Part) -> tuple[int, ...]:
    """The k at which a part is measured: those that are few beside its vectors."""
    return tuple(k for k in DEPTHS if k * 10 <= part.live) or (1,)


def best_reach(part: Part, trial: Trial) -> float:
    """The reach with which a search must look at least for its recall.

    Args:
        part: with leaves.
        trial: what to find.
    """
    k = depths_of(part)[0]
    best, least = REACHES[0], float(part.live)
    for reach in REACHES:
        reaching, enough = part.reaching(reach), least * WORTHWHILE_SAVING
        if trial.recall(reaching, k, enough) < TUNED_FOR:
            continue
        low, best, least = SMALLEST, reach, enough
        while least > PRECISION * low:
            middle = float(np.sqrt(low * least))
            if trial.recall(reaching, k, middle) < TUNED_FOR:
                low = middle
            else:
                least = middle
    return best


def least_slack(part: Part, trial: Trial) -> float:
    """The slack with which a search reads the rest of the fewest vectors and still misses hardly any.

    Args:
        part: with leaves, and codes that are cut.
        trial: what to find.
    """
    assert part.leaves is not None
    k, effort = depths_of(part)[0], min(DEEP, part.live / 2)
    best, chosen = 0.0, SLACKS[0]
    for slack in SLACKS:
        found = trial.recall(part.reaching(part.leaves.reach, slack=slack), k, effort)
        best = max(best, found)
        if found < best - COST:
            break
        chosen = slack
    return chosen


def measure_efforts(part: Part, trial: Trial) -> EffortCurve:
    """Search with one effort after the other.

    Args:
        part: with leaves.
        trial: what to find.
    """
    depths = depths_of(part)
    efforts = [SMALLEST]
    while efforts[-1] * STEP < part.live:
        efforts.append(efforts[-1] * STEP)
    efforts.append(float(part.live))
    recalls = np.ones((len(depths), len(efforts)))
    for d, k in enumerate(depths):
        for e, effort in enumerate(efforts):
            recalls[d, e] = trial.recall(part, k, effort)
            if recalls[d, e] > 0.9995:  # more effort cannot tell more
                recalls[d, e:] = recalls[d, e]
                break
    # More effort never finds less, but for chance.
    return EffortCurve(depths, np.array(efforts), np.maximum.accumulate(recalls, axis=1))


def recall(found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    """The share of the exact results that were found, over all queries; -1 is no result."""
    apart = np.arange(len(exact))[:, None] * (max(int(found.max()), int(exact.max())) + 1)
    hits = np.isin((found + apart)[found >= 0], (exact + apart)[exact >= 0], assume_unique=True)
    return int(hits.sum()) / max(int((exact >= 0).sum()), 1)


def likely_queries(
    vectors: NDArray[np.float32], *, metric: Metric, seed: int, count: int = QUERIES
) -> NDArray[np.float32]:
    """Queries to measure with where the caller has none.

    For inner products, a taste: the directions of one to five items, weighted at random, and blurred. That is
    harder than an item itself: about as hard as users' embeddings are, or somewhat harder. For distances, an
    item moved a little.

    Args:
        vectors: `[n, dim]` float32.
        metric: `"dot"` or `"l2"`.
        seed: of the draw.
        count: how many.
    """
    rng = np.random.default_rng(seed)
    dim = vectors.shape[1]
    tastes = MOST_TASTES if metric == "dot" else 1
    rows = rng.integers(0, len(vectors), (count, tastes))
    picked = vectors[rows].astype(np.float64)  # [count, tastes, dim]
    noise = rng.standard_normal((count, dim)) / np.sqrt(dim)
    if metric == "l2":
        noise *= 0.1 * np.sqrt(dim) * np.std(picked[:, 0], axis=0)
        return np.asarray(picked[:, 0] + noise, np.float32)
    picked /= np.maximum(np.linalg.norm(picked, axis=2, keepdims=True), 1e-30)
    weights = rng.dirichlet(np.ones(tastes), count)
    weights[np.arange(tastes) >= rng.integers(1, tastes + 1, count)[:, None]] = 0
    mixed = np.einsum("ct,ctd->cd", weights, picked)
    mixed /= np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-30)
    return np.asarray(mixed + BLUR * noise, np.float32)
