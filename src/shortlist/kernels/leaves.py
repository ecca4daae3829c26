"""Coded vectors in leaves, and the native approximate search through them, by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shortlist import _native
from shortlist.kernels.checks import check_threads
from shortlist.kernels.leaf_codes import BLOCK, NO_ROW, Frame, RowCodes, all_places, pack_rows
from shortlist.kernels.segments import FloatArray, Metric

# Until it is measured what is best: where vectors spread alike in all directions the best of some hundred
# lies about 4 spreads beyond the centroid.
REACH = 4.0
SLACK = 16.0


@dataclass(frozen=True, eq=False)
class Leaves:
    """Where the leaves of a part begin and what their vectors are like.

    Args:
        begins: `[leaves + 1]` int64, each leaf's first block.
        centroids: `[leaves, dim]` float32, relative to the vectors' origin.
        spreads: `[leaves]` float32, root mean square deviation from the centroid, a dimension.
        floors: `[leaves]` float32, descending: the squared norm from which on a vector belongs to the leaf's
            tier.
        frame: what the vectors are coded in.
        metric: what searches rank leaves by.
        rest_spreads: `[leaves]` float32, as `spreads` along the axes beyond the heads; None: no code is cut.
        reach: how many spreads beyond its centroid a leaf's best vector is expected.
        slack: how many spreads of the rest more than its centroid's the rest of a vector may add.
    """

    begins: NDArray[np.int64]
    centroids: FloatArray
    spreads: FloatArray
    floors: FloatArray
    frame: Frame
    metric: Metric
    rest_spreads: FloatArray | None = None
    reach: float = REACH
    slack: float = SLACK

    def __len__(self) -> int:
        return len(self.spreads)

    @cached_property
    def native(self) -> _native.LeafTable:
        """The native side, with the centroids coded."""
        places = -(-len(self) // BLOCK) * BLOCK
        order = np.full(places, NO_ROW)
        order[: len(self)] = np.arange(len(self))
        there = replace(self.frame, origin=np.zeros_like(self.frame.origin))  # centroids are relative already
        head = None if self.rest_spreads is None else self.frame.turned
        coded = pack_rows(self.centroids, order, frame=there, metric=self.metric, head=head, threads=1)
        bias = coded.bias
        if bias is None:
            bias = np.zeros(places, np.float32)
            bias[: len(self)] = self.spreads
        return _native.LeafTable(
            self.begins,
            coded.codes,
            coded.rest,
            coded.scale,
            bias,
            self.spreads,
            self.rest_spreads,
            self.reach,
            self.slack,
        )

    @property
    def nbytes(self) -> int:
        """How much memory they take, with the coded centroids."""
        coded: int = len(self) * (-(-self.centroids.shape[1] // 4) * 4 + 8)
        spreads = self.spreads.nbytes * (1 if self.rest_spreads is None else 2)
        return self.begins.nbytes + self.centroids.nbytes + spreads + coded


@dataclass(frozen=True, eq=False)
class Part:
    """Coded vectors that a search goes through; nothing of it may change while the part lives.

    Args:
        vectors: `[count, dim]` float32 to score the best again; None leaves it with the codes.
        count: of vectors.
        dim: their width.
        labels: `[count]` int64, what results and filters call the vectors; row numbers by default.
        rows: their codes.
        leaves: in which they lie; None: every search looks at all.
        allowed: `[blocks]` uint16, a bit for each place: the vectors that may be returned.
        native_shared: the native side of a part that differs in `allowed` and `leaves` alone.
    """

    vectors: FloatArray | None
    count: int
    dim: int
    labels: NDArray[np.int64] | None
    rows: RowCodes
    leaves: Leaves | None
    allowed: NDArray[np.uint16]
    native_shared: _native.LeafPart | None = field(default=None, repr=False)

    @cached_property
    def native_part(self) -> _native.LeafPart:
        """The native side of all but `leaves` and `allowed`."""
        if self.native_shared is not None:
            return self.native_shared
        rows = self.rows
        return _native.LeafPart(
            self.dim,
            self.count,
            self.vectors,
            self.labels,
            rows.frame.origin,
            rows.frame.native,
            rows.order,
            rows.codes,
            rows.rest,
            rows.scale,
            rows.bias,
        )

    @cached_property
    def native(self) -> _native.LeafView:
        """The native side."""
        leaves = None if self.leaves is None else self.leaves.native
        return _native.LeafView(self.native_part, leaves, self.sizes, self.allowed)

    @cached_property
    def sizes(self) -> FloatArray | None:
        """`[leaves]` how many vectors of each leaf are allowed; None without leaves."""
        if self.leaves is None:
            return None
        sizes = np.empty(len(self.leaves), np.float32)
        _native.leaf_sizes(self.allowed, self.leaves.begins, sizes)
        return sizes

    @cached_property
    def live(self) -> int:
        """How many vectors are allowed."""
        return int(np.bitwise_count(self.allowed).sum())

    def allowing(self, allowed: NDArray[np.uint16]) -> Part:
        """The same part, sharing its arrays, with other vectors allowed."""
        return replace(self, allowed=allowed, native_shared=self.native_part)

    def reaching(self, reach: float, *, slack: float | None = None) -> Part:
        """The same part, which has leaves, sharing its arrays, with another reach, or slack too."""
        assert self.leaves is not None
        leaves = replace(self.leaves, reach=reach, slack=self.leaves.slack if slack is None else slack)
        return replace(self, leaves=leaves, native_shared=self.native_part)

    def where(self, mask: NDArray[np.bool_]) -> Part:
        """The same part with those vectors allowed that were and whose labels `mask` allows.

        Args:
            mask: bool by label.
        """
        allowed = np.empty_like(self.allowed)
        _native.leaf_allow(self.native, mask, allowed)
        return self.allowing(allowed)

    def condensed(self) -> Part:
        """The allowed vectors alone, leaf by leaf, so that a search reads nothing else."""
        sizes = np.array([self.live], np.float32) if self.sizes is None else self.sizes
        begins = np.concatenate([[0], np.cumsum(-(-sizes.astype(np.int64) // BLOCK))]).astype(np.int64)
        places = int(begins[-1]) * BLOCK
        rest = self.rows.rest
        rows = RowCodes(
            self.rows.frame,
            np.empty(places, np.uint32),
            np.empty((places // BLOCK, *self.rows.codes.shape[1:]), np.uint8),
            None if rest is None else np.empty((places, rest.shape[1]), np.uint8),
            np.empty(places, np.float32),
            None if self.rows.bias is None else np.empty(places, np.float32),
        )
        _native.leaf_copy_allowed(
            self.native, self.allowed, begins, rows.codes, rows.rest, rows.scale, rows.bias, rows.order
        )
        leaves = None if self.leaves is None else replace(self.leaves, begins=begins)
        return Part(self.vectors, self.count, self.dim, self.labels, rows, leaves, all_places(rows.order))


def search_parts(
    parts: Sequence[Part],
    queries: FloatArray,
    k: int,
    *,
    metric: Metric,
    effort: float,
    keep: int,
    exclude: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    threads: int | None = None,
) -> tuple[NDArray[np.int64], FloatArray]:
    """About the best k vectors of several parts together.

    Args:
        parts: at least one, all as wide as the queries and coded in one frame; no label may live in two.
        queries: `[batch, dim]` float32, contiguous, finite.
        k: results a query, at least 1.
        metric: `"dot"` or `"l2"`.
        effort: about how many allowed vectors a query looks at in each part that has leaves.
        keep: how many of them are scored again in full, at least k.
        exclude: labels that a query must not get: `[total]` int64 and `[batch + 1]` int64 offsets.
        threads: to work with; PyTorch's number by default.

    Returns:
        Labels, `[batch, k]` int64, and scores, float32; best first, ties by the lower label, -1 and -inf
        where fewer than k vectors are allowed.
    """
    labels = np.empty((len(queries), k), np.int64)
    scores = np.empty((len(queries), k), np.float32)
    if len(queries) == 0:
        return labels, scores
    excluded, offsets = (None, None) if exclude is None else exclude
    _native.leaf_search(
        [part.native for part in parts],
        queries,
        metric == "l2",
        keep,
        effort,
        excluded,
        offsets,
        check_threads(threads),
        labels,
        scores,
    )
    return labels, scores
