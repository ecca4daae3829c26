"""Exact top-k the slow way: every score in double, then a sort."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def scores_of(queries: NDArray[np.float32], vectors: NDArray[np.float32], metric: str) -> NDArray[np.float64]:
    """`[batch, n]` scores, added up as the kernels promise: sixteen sums, then a tree of halves."""
    width = -(-queries.shape[1] // 16) * 16
    left, right = (np.zeros((len(x), width)) for x in (queries, vectors))
    left[:, : queries.shape[1]], right[:, : vectors.shape[1]] = queries, vectors
    lanes = np.zeros((len(queries), len(vectors), 16))
    for start in range(0, width, 16):
        a, b = left[:, None, start : start + 16], right[None, :, start : start + 16]
        lanes += a * b if metric == "dot" else (a - b) * (a - b)
    for half in (8, 4, 2, 1):
        lanes = lanes[..., :half] + lanes[..., half : 2 * half]
    return lanes[..., 0] if metric == "dot" else -lanes[..., 0]


def top_k(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    *,
    metric: str = "dot",
    exclude: list[list[int]] | None = None,
    where: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows `[batch, min(k, n)]` by descending score, then row, padded with -1; and their scores."""
    width = min(k, len(vectors))
    rows = np.full((len(queries), width), -1, np.int64)
    best = np.full((len(queries), width), -np.inf)
    for query, scores in enumerate(scores_of(queries, vectors, metric)):
        allowed = np.ones(len(vectors), bool) if where is None else where.copy()
        if exclude is not None:
            allowed[[row for row in exclude[query] if 0 <= row < len(vectors)]] = False
        candidates = np.flatnonzero(allowed)
        ranked = candidates[np.lexsort((candidates, -scores[candidates]))][:width]
        rows[query, : len(ranked)] = ranked
        best[query, : len(ranked)] = scores[ranked]
    return rows, best
