"""A device's answer item by item, in plain Python and double precision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from reference.fusion import fuse

QUERY_BIAS = 0.25


def mean_query(vectors: np.ndarray, weights: np.ndarray, history: Sequence[int], length: int) -> np.ndarray:
    """The mean of the latest history times a matrix, plus a bias."""
    latest = [vectors[row].astype(float) for row in history[-length:]]
    mean = sum(latest) / len(latest) if latest else np.zeros(vectors.shape[1])
    return mean @ weights.astype(float) + QUERY_BIAS


def adapted(vectors: np.ndarray, query: np.ndarray, signs: Mapping[int, int]) -> np.ndarray:
    """The scores of all rows after a ridge regression in its primal form: `dim` unknowns."""
    table = vectors.astype(float)
    scores = table @ query
    if not signs:
        return scores
    mean, items = table[1:].mean(0), table[1:]
    ridge = sum(float((item - mean) @ (item - mean)) for item in items) / len(items)
    centre, deviation = scores[1:].mean(), scores[1:].std()
    normal, right = ridge * np.eye(len(query)), np.zeros(len(query))
    for row, sign in signs.items():
        lacking = centre + (3 * deviation if sign > 0 else 0.0) - scores[row]
        residual = max(lacking, 0.0) if sign > 0 else min(lacking, 0.0)
        normal += np.outer(table[row] - mean, table[row] - mean)
        right += residual * (table[row] - mean)
    step = np.linalg.solve(normal, right)
    return scores + (table - mean) @ step


def exactly_nearest(
    vectors: np.ndarray, query: np.ndarray, k: int, barred: Collection[int]
) -> list[tuple[int, float]]:
    """Rows and products of the greatest products, each in double precision, rounded to float32."""
    scores = {
        row: float(np.float32(vectors[row].astype(float) @ query.astype(float)))
        for row in range(len(vectors))
        if row not in barred
    }
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def retrieved(scores: Sequence[float], k: int, allowed: Callable[[int], bool]) -> list[int]:
    rows = [row for row in range(1, len(scores)) if allowed(row)]
    return sorted(rows, key=lambda row: (-scores[row], row))[:k]


def merged(lists: Sequence[list[int]], scores: Sequence[Sequence[float]]) -> list[tuple[int, float]]:
    """Rows and scores of one list, or of the fusion of several."""
    if len(lists) == 1:
        return [(row, scores[0][row]) for row in lists[0]]
    gains = {row: 0.0 for each in lists for row in each}
    for each in lists:
        for rank, row in enumerate(each, 1):
            gains[row] += 1 / (60 + rank)
    return [(row, gains[row]) for row in fuse(list(lists))]


def nearest(vectors: np.ndarray, row: int, k: int) -> list[int]:
    def cosine(other: int) -> float:
        norms = np.linalg.norm(vectors[row]) * np.linalg.norm(vectors[other])
        return float(vectors[row] @ vectors[other]) / norms if norms > 0 else 0.0

    others = [other for other in range(1, len(vectors)) if other != row]
    return sorted(others, key=lambda other: (-round(cosine(other), 6), other))[:k]
