"""The axes that vectors are coded along: those that tell most of them apart come first."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from shortlist.kernels.leaf_codes import Frame

SAMPLE = 20_000
# Narrower vectors are read as quickly as they are; to find the axes of wider ones takes too long.
NARROWEST, WIDEST = 128, 2048
STEP = 32
# What the axes beyond may hold of the variance of scores, for a search to begin with those before.
REMAINDER = 0.015
# Heads that are longer spare too little.
LONGEST = 0.5


def frame_of(vectors: NDArray[np.float32], *, seed: int) -> Frame:
    """Where codes begin, and their axes: the principal ones first where few of them say nearly all.

    Inner products and distances are the same along any axes. A search reads the first codes of all vectors,
    and the others only of those that the first ones make likely.

    Args:
        vectors: `[n, dim]` float32, finite.
        seed: of the sample that the axes are found in.

    Source: ADSampling (Gao and Long, SIGMOD 2023), with principal axes as BSA (Yang et al., 2024).
    """
    origin = centre_of(vectors)
    count, dim = vectors.shape
    if not NARROWEST <= dim <= WIDEST:
        return Frame(origin)
    rows = np.sort(np.random.default_rng(seed).choice(count, min(count, SAMPLE), replace=False))
    sample = vectors[rows].astype(np.float64) - origin
    variances, axes = np.linalg.eigh(sample.T @ sample / len(sample))
    head = head_length(variances[::-1])
    return Frame(origin, mirrors_to(axes[:, ::-1][:, :head]) if head else None)


def centre_of(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[dim]` the mean of some vectors, zeros where there are none."""
    total = vectors.sum(axis=0, dtype=np.float64)
    return np.asarray(total / max(len(vectors), 1), np.float32)


def head_length(variances: NDArray[np.float64]) -> int:
    """How many of the first axes say nearly all about a score, or 0 where that takes too many.

    Args:
        variances: `[dim]` of the vectors along each axis, descending. What an axis adds to the product of two
            vectors has the square for its variance.
    """
    if not variances[0] > 0:
        return 0
    shares = np.square(variances / variances[0])
    beyond = shares.sum() - np.cumsum(shares)  # of each axis
    head = int(np.argmax(beyond <= REMAINDER * shares.sum())) + 1
    head = -(-head // STEP) * STEP
    return head if head <= LONGEST * len(variances) else 0


def mirrors_to(axes: NDArray[np.float64]) -> NDArray[np.float32]:
    """`[head, dim]` mirrors that one after the other turn some directions to the first axes or their reverse.

    Args:
        axes: `[dim, head]` orthonormal columns.
    """
    (packed, weights), _ = scipy.linalg.qr(axes, mode="raw")
    normals = np.tril(packed, -1)
    np.fill_diagonal(normals, 1)
    return np.ascontiguousarray((normals * np.sqrt(weights)).T, np.float32)
