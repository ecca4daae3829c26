"""Made-up vectors that lie in clusters, as embeddings do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLUSTERS = 60


def clustered(n: int, dim: int, seed: int, *, spread: float = 0.5) -> NDArray[np.float32]:
    """`[n, dim]` vectors around 60 centres, the same centres for every seed.

    Args:
        n: how many.
        dim: their width.
        seed: of the draw.
        spread: of the logarithms of their lengths; 0 leaves the lengths as the clusters make them.
    """
    centres = np.random.default_rng(99).standard_normal((CLUSTERS, dim))
    rng = np.random.default_rng(seed)
    vectors = centres[rng.integers(0, CLUSTERS, n)] + 0.8 * rng.standard_normal((n, dim))
    return np.asarray(vectors * rng.lognormal(0, spread, (n, 1)), np.float32)


def share_found(found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    """The share of the exact results that were found, over all queries; -1 is no result."""
    pairs = zip(found.tolist(), exact.tolist(), strict=True)
    hits = sum(len((set(some) & set(all_)) - {-1}) for some, all_ in pairs)
    return hits / max(int((exact >= 0).sum()), 1)


def sloping(n: int, dim: int, seed: int) -> NDArray[np.float32]:
    """`[n, dim]` clustered vectors that differ most along a few directions, as wide embeddings do.

    Args:
        n: how many.
        dim: their width.
        seed: of the draw; centres and directions are the same for every seed.
    """
    shape = np.random.default_rng(98)
    slope = np.arange(1, dim + 1) ** -0.6
    axes = np.linalg.qr(shape.standard_normal((dim, dim)))[0]
    centres = shape.standard_normal((CLUSTERS, dim)) * slope
    rng = np.random.default_rng(seed)
    vectors = centres[rng.integers(0, CLUSTERS, n)] + 0.8 * rng.standard_normal((n, dim)) * slope
    return np.asarray(vectors @ axes * rng.lognormal(0, 0.2, (n, 1)), np.float32)
