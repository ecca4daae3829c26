"""Vectors as eight-bit codes, and k-means on these: the native passes that a build consists of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from shortlist import _native
from shortlist.kernels.checks import check_threads
from shortlist.kernels.segments import FloatArray, Metric

BLOCK: int = _native.LEAF_BLOCK
MAX_DIM: int = _native.LEAF_MAX_DIM
NO_ROW = np.uint32(_native.NO_ROW)


@dataclass(frozen=True, eq=False)
class Frame:
    """What codes are relative to, the same for all parts of an index.

    Args:
        origin: `[dim]` float32, a point. Vectors that all lie far to one side would otherwise spend their
            bits on what they share.
        mirrors: `[turned, dim]` float32, normals of reflections, each as long as the root of 2 or of no
            length. One after the other they turn the directions in which vectors differ most to the first
            axes. None keeps the axes of the vectors.

    Source: Householder, Unitary triangularization of a nonsymmetric matrix (JACM 1958).
    """

    origin: FloatArray
    mirrors: FloatArray | None = None

    @property
    def turned(self) -> int:
        """How many axes the mirrors choose."""
        return 0 if self.mirrors is None else len(self.mirrors)

    @cached_property
    def native(self) -> FloatArray | None:
        """`[2, turned, dim]` M, the mirrors, and W, with which all reflections are one: x - M'Wx."""
        if self.mirrors is None:
            return None
        mirrors = self.mirrors.astype(np.float64)
        # What a mirror finds of a vector is what those before it have left: W = M - LW, L below the diagonal.
        before = np.tril(mirrors @ mirrors.T, -1) + np.eye(self.turned)
        weights = scipy.linalg.solve_triangular(before, mirrors, lower=True, unit_diagonal=True)
        return np.stack([mirrors, weights]).astype(np.float32)

    @cached_property
    def axes(self) -> FloatArray:
        """`[dim, dim]` the directions of the codes, a row each."""
        axes = np.eye(len(self.origin), dtype=np.float32)
        for mirror in () if self.mirrors is None else self.mirrors:
            axes -= np.outer(mirror, mirror @ axes)
        return axes


@dataclass(frozen=True, eq=False)
class RowCodes:
    """The eight-bit form of some vectors, each with a scale of its own, 16 side by side.

    Args:
        frame: what they are relative to.
        order: `[places]` uint32, the vector at each place, `NO_ROW` where there is none.
        codes: `[blocks, head / 4, 64]` uint8, the first codes of each vector, or all.
        rest: `[places, stride - head]` uint8, the others, vector by vector; None where there are none.
        scale: `[places]` float32, NaN where there is no vector.
        bias: `[places]` float32, minus half the squared distances from the origin, for distances; None for
            inner products.
    """

    frame: Frame
    order: NDArray[np.uint32]
    codes: NDArray[np.uint8]
    rest: NDArray[np.uint8] | None
    scale: FloatArray
    bias: FloatArray | None

    @cached_property
    def place_of(self) -> NDArray[np.uint32]:
        """`[n]` the place of each vector, found out when first asked for."""
        there = np.flatnonzero(self.order != NO_ROW)
        places = np.empty(len(there), np.uint32)
        places[self.order[there]] = there
        return places

    @property
    def nbytes(self) -> int:
        """How much memory it takes, without the shared frame."""
        arrays = (self.order, self.codes, self.rest, self.scale, self.bias)
        return sum(0 if array is None else array.nbytes for array in arrays)


def pack_rows(
    vectors: FloatArray,
    order: NDArray[np.uint32],
    *,
    frame: Frame,
    metric: Metric,
    head: int | None = None,
    threads: int | None = None,
) -> RowCodes:
    """Code vectors in an order of one's own.

    Args:
        vectors: `[n, dim]` float32, contiguous, finite.
        order: `[places]` row numbers or `NO_ROW`, a multiple of 16.
        frame: what the codes are relative to; parts that are searched together share it.
        metric: what the codes will be scored by.
        head: how many codes of each vector lie in blocks, a multiple of 4; all by default.
        threads: to work with; PyTorch's number by default.
    """
    stride = -(-vectors.shape[1] // 4) * 4
    head = stride if head is None else head
    codes = np.empty((len(order) // BLOCK, head // 4, 4 * BLOCK), np.uint8)
    rest = np.empty((len(order), stride - head), np.uint8) if head < stride else None
    scale = np.empty(len(order), np.float32)
    _native.leaf_pack(vectors, frame.origin, frame.native, order, check_threads(threads), codes, rest, scale)
    bias = None
    if metric == "l2":
        there = order != NO_ROW
        bias = np.zeros(len(order), np.float32)
        bias[there] = -0.5 * squared_distances(vectors, frame.origin)[order[there]]
    return RowCodes(frame, order, codes, rest, scale, bias)


def squared_norms(vectors: FloatArray) -> FloatArray:
    """`[n]` squared Euclidean norms."""
    squares: FloatArray = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float32)
    return squares


def squared_distances(vectors: FloatArray, origin: FloatArray) -> FloatArray:
    """`[n]` squared Euclidean distances from a point."""
    squares = np.empty(len(vectors), np.float32)
    step = 1 << 16  # rows at a time: the differences need not all be in memory
    for start in range(0, len(vectors), step):
        squares[start : start + step] = squared_norms(vectors[start : start + step] - origin)
    return squares


def squared_rests(vectors: FloatArray, frame: Frame) -> FloatArray:
    """`[n]` squared lengths of what vectors lie beyond the origin along the axes that no mirror chose."""
    squares = squared_distances(vectors, frame.origin)
    chosen = np.ascontiguousarray(frame.axes[: frame.turned].T)
    step = 1 << 16
    for start in range(0, len(vectors), step):
        some = vectors[start : start + step] - frame.origin
        squares[start : start + step] -= squared_norms(np.asarray(some @ chosen, np.float32))
    return np.maximum(squares, 0)


def train_leaves(
    vectors: FloatArray,
    members: NDArray[np.uint32],
    leaves: int,
    *,
    origin: FloatArray,
    iterations: int,
    seed: int,
    threads: int | None = None,
) -> tuple[FloatArray, NDArray[np.uint32]]:
    """Cluster some of the vectors by Lloyd's iterations; the same for any number of threads.

    Args:
        vectors: `[n, dim]` float32, contiguous, finite.
        members: `[m]` the rows to cluster.
        leaves: how many clusters, 1 to m.
        origin: `[dim]` float32, what the centroids will be relative to.
        iterations: how often the centroids move.
        seed: of the first centroids, which are members.
        threads: to work with; PyTorch's number by default.

    Returns:
        Centroids, `[leaves, dim]` float32, and the cluster of each member, `[m]` uint32.
    """
    centroids = np.empty((leaves, vectors.shape[1]), np.float32)
    leaf_of = np.empty(len(members), np.uint32)
    _native.leaf_train(vectors, origin, members, iterations, seed, check_threads(threads), centroids, leaf_of)
    return centroids, leaf_of


def assign_leaves(
    vectors: FloatArray, centroids: FloatArray, *, origin: FloatArray, threads: int | None = None
) -> NDArray[np.uint32]:
    """`[n]` the nearest centroid, relative to the origin, of each vector, up to the error of the codes."""
    leaf_of = np.empty(len(vectors), np.uint32)
    members = np.arange(len(vectors), dtype=np.uint32)
    _native.leaf_assign(vectors, origin, members, centroids, check_threads(threads), leaf_of)
    return leaf_of


def all_places(order: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """`[blocks]` uint16: a bit for each place that holds a vector."""
    bits = np.packbits((order != NO_ROW).reshape(-1, BLOCK), axis=1, bitorder="little")
    return bits.view("<u2").reshape(-1)
