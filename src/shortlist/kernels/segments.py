"""Vectors with their eight-bit codes, and the native search through them, by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shortlist import _native
from shortlist.errors import ConfigError
from shortlist.kernels.checks import check_threads, not_finite

Metric = Literal["dot", "l2"]
FloatArray = NDArray[np.float32]
NOBODY: NDArray[np.bool_] = np.zeros(0, np.bool_)


@dataclass(frozen=True, eq=False)
class Codes:
    """The eight-bit form of some vectors; `encode` makes it.

    Args:
        codes: `[blocks, 64, stride]` uint8, the vectors in `order`, 64 a block.
        stats: `[blocks, 5]` float64: scale, error bounds and extreme norms of each block.
        order: `[n]` uint32, the vectors' numbers from the longest vector to the shortest.
    """

    codes: NDArray[np.uint8]
    stats: NDArray[np.float64]
    order: NDArray[np.uint32]


class Segment:
    """Vectors that a search goes through, not copied: they must not change while the segment lives.

    Args:
        vectors: `[n, dim]` float32, contiguous.
        codes: their eight-bit form; without it a search codes the vectors on the way, which costs about
            as much as reading them.
        labels: `[n]` int64, what results, `where` and `exclude` call the vectors; row numbers by default.
        dead: `[n]` bool, vectors to pass over; none by default.
    """

    def __init__(
        self,
        vectors: FloatArray,
        codes: Codes | None = None,
        *,
        labels: NDArray[np.int64] | None = None,
        dead: NDArray[np.bool_] | None = None,
    ) -> None:
        self.vectors = vectors
        self.codes = codes
        self.labels = labels
        self.dead = NOBODY if dead is None else dead
        self._native = (
            _native.Segment(vectors, None, None, None, labels)
            if codes is None
            else _native.Segment(vectors, codes.codes, codes.stats, codes.order, labels)
        )

    def __len__(self) -> int:
        return self._native.count

    def without(self, dead: NDArray[np.bool_]) -> Segment:
        """The same segment, sharing all its arrays, with other vectors passed over."""
        twin = object.__new__(Segment)
        twin.__dict__.update(self.__dict__, dead=dead)
        return twin


def encode(vectors: FloatArray, *, threads: int | None = None) -> Codes:
    """Code vectors for repeated searches.

    Args:
        vectors: `[n, dim]` float32, contiguous, at most 65,536 wide.
        threads: to work with; PyTorch's number by default.

    Returns:
        Their eight-bit form, a quarter of their size.

    Raises:
        DataError: a value is NaN or infinite.
    """
    count, dim = vectors.shape
    threads = check_threads(threads)
    norms = np.empty(count, np.float64)
    _native.row_norms(vectors, threads, norms)
    finite = np.isfinite(norms)
    if not finite.all():
        raise not_finite("vector", int(np.argmin(finite)))
    order = np.argsort(-norms, kind="stable").astype(np.uint32)
    blocks = -(-count // _native.BLOCK_ROWS)
    codes = np.empty((blocks, _native.BLOCK_ROWS, -(-dim // 4) * 4), np.uint8)
    stats = np.empty((blocks, 5), np.float64)
    _native.encode(vectors, order, norms, threads, codes, stats)
    return Codes(codes, stats, order)


def search_segments(
    segments: Sequence[Segment],
    queries: FloatArray,
    k: int,
    *,
    metric: Metric = "dot",
    exclude: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    where: NDArray[np.bool_] | None = None,
    threads: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best k vectors of several segments together.

    Args:
        segments: all as wide as the queries; no label may live in two of them.
        queries: `[batch, dim]` float32, contiguous, finite.
        k: results a query.
        metric: `"dot"`, or `"l2"` for minus the squared distance.
        exclude: labels that a query must not get: `[total]` int64 and `[batch + 1]` int64 offsets.
        where: bool by label: which vectors are allowed.
        threads: to work with; PyTorch's number by default.

    Returns:
        Labels, `[batch, k]` int64, and scores, float64; best first, ties by the lower label, -1 and -inf
        where fewer than k vectors are allowed.

    Raises:
        DataError: a segment without codes holds a NaN or an infinite value.
    """
    threads = check_threads(threads)
    labels = np.full((len(queries), k), -1, np.int64)
    scores = np.full((len(queries), k), -np.inf, np.float64)
    if k == 0 or len(queries) == 0:
        return labels, scores
    excluded, offsets = (None, None) if exclude is None else exclude
    bad_row = _native.top_k(
        [segment._native for segment in segments],
        [segment.dead for segment in segments],
        queries,
        metric == "l2",
        where,
        excluded,
        offsets,
        threads,
        labels,
        scores,
    )
    if bad_row >= 0:
        raise not_finite("vector", bad_row)
    return labels, scores


def use_kernels(name: str = "") -> None:
    """Choose the instruction set for the whole process, for tests and measurements.

    Args:
        name: `"avx512"`, `"avx2"`, `"portable"`, or `""` for the best that the processor has. The
            environment variable `SHORTLIST_SIMD` sets it from outside.

    Raises:
        ConfigError: the processor lacks it.
    """
    try:
        _native.use_kernels(name)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def kernels_in_use() -> str:
    """The name of the instruction set in use: `"avx512"`, `"avx2"` or `"portable"`."""
    return _native.kernels_in_use()
