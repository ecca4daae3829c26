"""How vectors are laid out in leaves: tiers of like length, and in each tier clusters of like direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shortlist.index.leaf_frame import centre_of, frame_of
from shortlist.kernels.leaf_codes import (
    BLOCK,
    NO_ROW,
    Frame,
    all_places,
    assign_leaves,
    pack_rows,
    squared_distances,
    squared_norms,
    squared_rests,
    train_leaves,
)
from shortlist.kernels.leaves import REACH, SLACK, Leaves, Part
from shortlist.kernels.segments import Metric

Progress = Callable[[str, float], None]

# Up to so many vectors lie in no leaves: looking at all of them costs no more than choosing some.
FLAT_ROWS = 4096
ITERATIONS = 8

# Shares of the vectors, from the longest down, and how many share a leaf when there are a million. Inner
# products favour long vectors, so the few that answer most queries lie in small leaves of their own.
TIERS = ((0.02, 100), (0.05, 150), (0.13, 250), (0.30, 400), (0.50, 600))
ONE_TIER = ((1.0, 200),)
SMALLEST_LEAF = 32
# Lengths that differ less, from the median to the longest two in a hundred, are not worth tiers.
WORTHWHILE_RATIO = 1.1


@dataclass(frozen=True, eq=False)
class Tier:
    """Vectors of like length.

    Args:
        members: `[count]` uint32, their rows, ascending.
        leaves: how many they are spread over.
        floor: the least squared norm in the tier; 0 in the last.
    """

    members: NDArray[np.uint32]
    leaves: int
    floor: float


@dataclass(frozen=True, eq=False)
class LeafPlan:
    """Leaves before anything lies in them.

    Args:
        frame: what codes are relative to, and centroids to its origin.
        centroids: `[leaves, dim]` float32.
        floors: `[leaves]` float32, descending: the least squared norm in the leaf's tier.
        metric: `"dot"` or `"l2"`.
        reach: as `Leaves`.
        slack: as `Leaves`.
    """

    frame: Frame
    centroids: NDArray[np.float32]
    floors: NDArray[np.float32]
    metric: Metric
    reach: float = REACH
    slack: float = SLACK

    @classmethod
    def of(cls, part: Part) -> LeafPlan:
        """The plan by which the leaves of a part, which has some, were filled."""
        assert part.leaves is not None
        leaves = part.leaves
        return cls(
            part.rows.frame, leaves.centroids, leaves.floors, leaves.metric, leaves.reach, leaves.slack
        )

    def assign(self, vectors: NDArray[np.float32], *, threads: int | None) -> NDArray[np.uint32]:
        """`[n]` the nearest leaf of each vector in the tier of its length."""
        leaf_of = np.zeros(len(vectors), np.uint32)
        squares = squared_norms(vectors)
        above = np.inf
        for floor in np.unique(self.floors)[::-1]:
            rows = np.flatnonzero((squares >= floor) & (squares < above))
            above = floor
            leaves = np.flatnonzero(self.floors == floor)
            some = np.ascontiguousarray(vectors[rows])
            centroids = self.centroids[leaves[0] : leaves[-1] + 1]
            nearest = assign_leaves(some, centroids, origin=self.frame.origin, threads=threads)
            leaf_of[rows] = nearest + np.uint32(leaves[0])
        return leaf_of


def plan_tiers(squared_norms: NDArray[np.float32], *, by_length: bool) -> list[Tier]:
    """Choose tiers and the number of leaves in each from the vectors' lengths.

    Args:
        squared_norms: `[n]`, n at least 1.
        by_length: whether scores favour long vectors: inner products.
    """
    count = len(squared_norms)
    longest = np.argsort(-squared_norms, kind="stable").astype(np.uint32)
    long, median = (float(squared_norms[longest[place]]) for place in (count // 50, count // 2))
    ratio = np.sqrt(long / max(median, 1e-30))
    shares = TIERS if by_length and ratio > WORTHWHILE_RATIO else ONE_TIER
    # Leaves grow with the square root of the catalogue, as their number does.
    growth = np.sqrt(count / 1e6)
    tiers, start, upto = [], 0, 0.0
    for share, per_leaf in shares:
        upto += share
        end = min(round(upto * count), count)
        if end > start:
            leaves = max(1, round((end - start) / max(per_leaf * growth, SMALLEST_LEAF)))
            floor = float(squared_norms[longest[end - 1]]) if end < count else 0.0
            tiers.append(Tier(np.sort(longest[start:end]), leaves, floor))
        start = end
    return tiers


def build_part(
    vectors: NDArray[np.float32],
    *,
    metric: Metric,
    by_length: bool,
    seed: int,
    threads: int | None,
    labels: NDArray[np.int64] | None = None,
    progress: Progress | None = None,
) -> Part:
    """Cluster vectors and lay them out.

    Args:
        vectors: `[n, dim]` float32, contiguous, finite; not copied.
        metric: `"dot"` or `"l2"`.
        by_length: whether scores favour long vectors.
        seed: of the clusters.
        threads: to work with; the leaves do not depend on it.
        labels: `[n]` what searches call the vectors, ascending; row numbers by default.
        progress: called with what is done and the share of the whole that is done.
    """
    tell = progress or (lambda what, share: None)
    count = len(vectors)
    if count <= FLAT_ROWS:
        frame = Frame(centre_of(vectors))
        flat = flat_part(vectors, frame=frame, metric=metric, labels=labels, threads=threads)
        tell("coding", 1.0)
        return flat
    frame = frame_of(vectors, seed=seed)
    leaf_of = np.empty(count, np.uint32)
    centroids: list[NDArray[np.float32]] = []
    floors: list[NDArray[np.float32]] = []
    first = done = 0
    tell("clustering", 0.0)
    for tier in plan_tiers(squared_norms(vectors), by_length=by_length):
        means, member_leaf = train_leaves(
            vectors,
            tier.members,
            tier.leaves,
            origin=frame.origin,
            iterations=ITERATIONS,
            seed=seed + first,
            threads=threads,
        )
        leaf_of[tier.members] = member_leaf + np.uint32(first)
        centroids.append(means)
        floors.append(np.full(tier.leaves, tier.floor, np.float32))
        first, done = first + tier.leaves, done + len(tier.members)
        tell("clustering", 0.8 * done / count)
    tell("coding", 0.8)
    plan = LeafPlan(frame, np.concatenate(centroids), np.concatenate(floors), metric)
    part = lay_out(vectors, leaf_of, plan, labels=labels, threads=threads)
    tell("coding", 1.0)
    return part


def flat_part(
    vectors: NDArray[np.float32],
    *,
    frame: Frame,
    metric: Metric,
    labels: NDArray[np.int64] | None,
    threads: int | None,
) -> Part:
    """Vectors that every search looks at, with their codes in one piece."""
    count = len(vectors)
    order = np.full(-(-count // BLOCK) * BLOCK, NO_ROW)
    order[:count] = np.arange(count)
    rows = pack_rows(vectors, order, frame=frame, metric=metric, threads=threads)
    return Part(vectors, count, vectors.shape[1], labels, rows, None, all_places(order))


def lay_out(
    vectors: NDArray[np.float32],
    leaf_of: NDArray[np.uint32],
    plan: LeafPlan,
    *,
    labels: NDArray[np.int64] | None,
    threads: int | None,
) -> Part:
    """Put vectors into blocks, leaf by leaf.

    Args:
        vectors: `[n, dim]` float32, contiguous; not copied.
        leaf_of: `[n]` the leaf of each.
        plan: the leaves; one with vectors gets their mean for its centroid.
        labels: as `build_part`.
        threads: as `build_part`.
    """
    (count, dim), leaves, metric = vectors.shape, len(plan.centroids), plan.metric
    sizes = np.bincount(leaf_of, minlength=leaves)
    by_leaf = np.argsort(leaf_of, kind="stable").astype(np.uint32)
    begins = np.concatenate([[0], np.cumsum(-(-sizes // BLOCK))]).astype(np.int64)
    order = np.full(int(begins[-1]) * BLOCK, NO_ROW)
    firsts = np.cumsum(sizes) - sizes
    order[np.arange(count) + np.repeat(begins[:-1] * BLOCK - firsts, sizes)] = by_leaf
    frame = plan.frame
    head = frame.turned or None
    rows = pack_rows(vectors, order, frame=frame, metric=metric, head=head, threads=threads)

    filled = sizes > 0
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    entries = (np.ones(count, np.float32), by_leaf.astype(np.int32), offsets)
    membership = sp.csr_matrix(entries, (leaves, count))
    means = plan.centroids.copy()
    means[filled] = (membership @ vectors)[filled] / sizes[filled, None] - frame.origin
    squares = np.bincount(leaf_of, squared_distances(vectors, frame.origin), minlength=leaves)
    spreads = _spreads(squares, sizes, means)
    rest_spreads = None
    if head is not None:
        squares = np.bincount(leaf_of, squared_rests(vectors, frame), minlength=leaves)
        rest_spreads = _spreads(squares, sizes, means @ frame.axes[head:].T)
    table = Leaves(begins, means, spreads, plan.floors, frame, metric, rest_spreads, plan.reach, plan.slack)
    return Part(vectors, count, dim, labels, rows, table, all_places(order))


def _spreads(squares: NDArray[Any], sizes: NDArray[Any], means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square deviations from the means, a dimension, from sums of squared lengths."""
    of_means = np.einsum("ij,ij->i", means, means, dtype=np.float64)
    deviations = squares / np.maximum(sizes, 1) - of_means
    return np.asarray(np.sqrt(np.maximum(deviations, 0.0) / means.shape[1]), np.float32)


def leaf_of_rows(part: Part) -> NDArray[np.uint32]:
    """`[count]` the leaf in which each row of a part lies; the part has leaves."""
    assert part.leaves is not None
    of_block = np.repeat(np.arange(len(part.leaves), dtype=np.uint32), np.diff(part.leaves.begins))
    of_place = np.repeat(of_block, BLOCK)
    there = part.rows.order != NO_ROW
    leaf_of = np.zeros(part.count, np.uint32)
    leaf_of[part.rows.order[there]] = of_place[there]
    return leaf_of


def without_vectors(part: Part) -> Part:
    """The codes of a part alone."""
    return replace(part, vectors=None, native_shared=None)


def decoded(part: Part) -> NDArray[np.float32]:
    """`[count, dim]` float32: the vectors that a part's codes stand for."""
    order, codes, scale, frame = part.rows.order, part.rows.codes, part.rows.scale, part.rows.frame
    vectors = np.zeros((part.count, part.dim), np.float32)
    step = 4096  # blocks at a time, so that what is unpacked stays small
    for start in range(0, len(codes), step):
        some = codes[start : start + step]
        groups = some.reshape(len(some), -1, BLOCK, 4).transpose(0, 2, 1, 3)
        codes_of = groups.reshape(len(some) * BLOCK, -1)
        places = slice(start * BLOCK, start * BLOCK + len(codes_of))
        if part.rows.rest is not None:
            codes_of = np.concatenate([codes_of, part.rows.rest[places]], axis=1)
        there = order[places] != NO_ROW
        relative = (codes_of[there, : part.dim].astype(np.float32) - 128) * scale[places][there, None]
        if frame.turned:
            relative = relative @ frame.axes
        vectors[order[places][there]] = relative + frame.origin
    return vectors
