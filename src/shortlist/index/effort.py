"""How much a search must look at to reach a recall: measured on queries when the index is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.kernels.leaves import Part, search_parts
from shortlist.kernels.segments import Metric

QUERIES = 256
DEPTHS = (10, 100, 1000)  # the k at which the curve is measured
STEP = 1.5  # from one effort to the next
SMALLEST = 64.0


@dataclass(frozen=True, eq=False)
class EffortCurve:
    """The recall of a search by its effort.

    Args:
        depths: the k measured, ascending.
        efforts: `[points]` float64, ascending; the last is every item.
        recalls: `[depths, points]` float64.
    """

    depths: tuple[int, ...]
    efforts: NDArray[np.float64]
    recalls: NDArray[np.float64]

    def effort_for(self, k: int, recall: float) -> float:
        """The least effort measured to reach a recall at k, between and beyond depths by their logarithms.

        Args:
            k: results a query.
            recall: 0 to 1.
        """
        logs = np.log([self._least(depth, recall) for depth in range(len(self.depths))])
        places = np.log(self.depths)
        wanted = np.log(k)
        if wanted > places[-1]:  # as steep as the square root, at least k
            return max(float(np.exp(logs[-1] + 0.5 * (wanted - places[-1]))), 2.0 * k)
        return max(float(np.exp(np.interp(wanted, places, logs))), 2.0 * k)

    def _least(self, depth: int, recall: float) -> float:
        reached = self.recalls[depth] >= recall
        if not reached.any():
            return float(self.efforts[-1])
        first = int(np.argmax(reached))
        if first == 0:
            return float(self.efforts[0])
        low, high = self.recalls[depth, first - 1 : first + 1]
        share = (recall - low) / (high - low)
        return float(np.exp(np.interp(share, [0, 1], np.log(self.efforts[first - 1 : first + 1]))))

    def points(self, k: int) -> list[tuple[int, float]]:
        """(effort, recall) pairs at the measured depth nearest to k."""
        depth = int(np.argmin(np.abs(np.log(self.depths) - np.log(k))))
        return [
            (round(effort), float(recall))
            for effort, recall in zip(self.efforts, self.recalls[depth], strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """The curve as plain values."""
        return {
            "depths": list(self.depths),
            "efforts": self.efforts.tolist(),
            "recalls": self.recalls.tolist(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EffortCurve:
        """The curve that `to_json` wrote.

        Raises:
            KeyError, ValueError: it is none.
        """
        depths = tuple(int(depth) for depth in value["depths"])
        efforts, recalls = np.array(value["efforts"], np.float64), np.array(value["recalls"], np.float64)
        if not depths or recalls.shape != (len(depths), len(efforts)) or len(efforts) == 0:
            raise ValueError("the curve of efforts is damaged")
        in_range = ((efforts >= 1) & (efforts < np.inf)).all() and ((recalls >= 0) & (recalls <= 1)).all()
        if not in_range or not (np.diff(depths, prepend=0) > 0).all():
            raise ValueError("the curve of efforts holds values that nothing could have measured")
        return cls(depths, efforts, recalls)


def measure_efforts(
    part: Part, exact: Part, queries: NDArray[np.float32], *, metric: Metric, threads: int | None
) -> EffortCurve:
    """Search with one effort after the other and compare with a search through everything.

    Args:
        part: with leaves.
        exact: the same vectors, in full where `part` has only their codes.
        queries: `[n, dim]` float32.
        metric: `"dot"` or `"l2"`.
        threads: to work with.
    """
    depths = tuple(k for k in DEPTHS if k * 10 <= part.live) or (1,)
    efforts = [SMALLEST]
    while efforts[-1] * STEP < part.live:
        efforts.append(efforts[-1] * STEP)
    efforts.append(float(part.live))

    def found(searched: Part, k: int, effort: float, keep: int) -> NDArray[np.int64]:
        labels, _ = search_parts(
            [searched], queries, k, metric=metric, effort=effort, keep=keep, threads=threads
        )
        return labels

    recalls = np.ones((len(depths), len(efforts)))
    for d, k in enumerate(depths):
        best = found(exact, k, np.inf, 4 * k + 64)
        for e, effort in enumerate(efforts):
            recalls[d, e] = recall(found(part, k, max(effort, 2.0 * k), kept_for(k)), best)
            if recalls[d, e] > 0.9995:  # more effort cannot tell more
                recalls[d, e:] = recalls[d, e]
                break
    # More effort never finds less, but for chance.
    return EffortCurve(depths, np.array(efforts), np.maximum.accumulate(recalls, axis=1))


def kept_for(k: int) -> int:
    """How many of the best by codes are scored in full for k results: what rounding can have misplaced."""
    return k + 6 + k // 4


def recall(found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    """The share of the exact results that were found, over all queries; -1 is no result."""
    hits = sum(
        len(np.intersect1d(some[some >= 0], all_[all_ >= 0])) for some, all_ in zip(found, exact, strict=True)
    )
    return hits / max(int((exact >= 0).sum()), 1)


def likely_queries(
    vectors: NDArray[np.float32], *, metric: Metric, seed: int, count: int = QUERIES
) -> NDArray[np.float32]:
    """Queries to measure with where the caller has none.

    For inner products, a taste: the directions of one to three items, weighted at random, somewhat blurred.
    That is harder than an item itself, so a recall promised for it holds for plainer queries. For distances,
    an item moved a little.

    Args:
        vectors: `[n, dim]` float32.
        metric: `"dot"` or `"l2"`.
        seed: of the draw.
        count: how many.
    """
    rng = np.random.default_rng(seed)
    dim = vectors.shape[1]
    tastes: Sequence[int] = (1, 2, 3) if metric == "dot" else (1,)
    rows = rng.integers(0, len(vectors), (count, len(tastes)))
    picked = vectors[rows].astype(np.float64)  # [count, tastes, dim]
    noise = rng.standard_normal((count, dim)) / np.sqrt(dim)
    if metric == "l2":
        noise *= 0.1 * np.sqrt(dim) * np.std(picked[:, 0], axis=0)
        return np.asarray(picked[:, 0] + noise, np.float32)
    picked /= np.maximum(np.linalg.norm(picked, axis=2, keepdims=True), 1e-30)
    weights = rng.dirichlet(np.ones(len(tastes)), count)
    weights[np.arange(len(tastes)) >= rng.integers(1, len(tastes) + 1, count)[:, None]] = 0
    mixed = np.einsum("ct,ctd->cd", weights, picked)
    mixed /= np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-30)
    return np.asarray(mixed + 0.4 * noise, np.float32)
