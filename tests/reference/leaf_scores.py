"""Eight-bit codes, their scores and the order of leaves the slow way, with sums in integers and doubles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUERY_RANGE = {"avx512": 127, "avx2": 63, "portable": 127}


def code(row: NDArray[np.float32], steps: int) -> tuple[NDArray[np.int64], np.float32]:
    """`[dim]` whole numbers of -steps..steps, and what one of them is worth."""
    largest = np.abs(row).max()
    if largest == 0:
        return np.zeros(len(row), np.int64), np.float32(1)
    unit = max(largest / np.float32(steps), np.float32(1e-30))
    inverse = np.float32(1) / unit
    return np.rint(row * inverse).astype(np.int64), unit


def unpacked(codes: NDArray[np.uint8], order: NDArray[np.uint32], count: int, dim: int) -> NDArray[np.int64]:
    """`[count, dim]` the codes of each row, found place by place in their blocks of 16."""
    rows = np.zeros((count, dim), np.int64)
    for place, row in enumerate(order):
        if row < count:
            for j in range(dim):
                rows[row, j] = int(codes[place // 16, j // 4, 4 * (place % 16) + j % 4]) - 128
    return rows


def scores_by_code(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    metric: str,
    steps: int,
    origin: NDArray[np.float32],
) -> NDArray[np.float64]:
    """`[batch, n]` inner products, or minus squared distances, as the codes estimate them.

    Args:
        vectors: `[n, dim]`.
        queries: `[batch, dim]`.
        metric: `"dot"` or `"l2"`, whose lengths are not estimated.
        steps: of the queries' codes; the rows have 127.
        origin: `[dim]` what the codes are relative to.
    """
    shared = queries.astype(np.float64) @ origin
    vectors = vectors - origin
    if metric == "l2":
        queries = queries - origin
    rows = [code(vector, 127) for vector in vectors]
    wholes = np.array([whole for whole, _ in rows], np.int64).reshape(len(vectors), queries.shape[1])
    units = np.array([unit for _, unit in rows], np.float64)
    scores = np.empty((len(queries), len(vectors)))
    for q, query in enumerate(queries):
        whole, unit = code(query, steps)
        scores[q] = (wholes @ whole) * units * float(unit)
    if metric == "l2":
        squares = [np.square(x.astype(np.float64)).sum(1) for x in (queries, vectors)]
        return 2 * scores - squares[0][:, None] - squares[1]
    return scores + shared[:, None]


def leaves_in_order(
    centroids: NDArray[np.float32],
    spreads: NDArray[np.float32],
    query: NDArray[np.float32],
    metric: str,
    steps: int,
    reach: float,
    origin: NDArray[np.float32],
) -> NDArray[np.int64]:
    """The leaves by the best score to expect in each, which lies `reach` spreads beyond its centroid.

    Args:
        centroids: `[leaves, dim]`, relative to the origin.
        spreads: `[leaves]` root mean square deviation, a dimension.
        query: `[dim]`.
        metric: `"dot"` or `"l2"`.
        steps: of the query's codes.
        reach: in spreads.
        origin: `[dim]`.
    """
    there = np.zeros_like(origin)
    relative = query - origin if metric == "l2" else query
    expected = scores_by_code(centroids, relative[None], metric, steps, there)[0]
    wide = spreads.astype(np.float64)
    if metric == "dot":
        expected += reach * wide * np.linalg.norm(query.astype(np.float64))
    else:
        beyond = np.sqrt(np.maximum(-expected, 0)) - reach * wide
        expected = -beyond * np.abs(beyond) - max(centroids.shape[1] - reach**2, 0) * wide**2
    return np.argsort(-expected, kind="stable")
