"""In-batch softmax, one score at a time in Python floats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

MASKED = -3.4028234663852886e36  # a score that leaves nothing of a probability


def scores_of(
    queries: np.ndarray,
    candidates: np.ndarray,
    row: int,
    *,
    temperature: float = 1.0,
    candidate_ids: list[int] | None = None,
    sampling_probability: list[float] | None = None,
    score_mask: np.ndarray | None = None,
) -> list[tuple[int, float]]:
    """The candidates that count for one query, each with its score, the positive first."""
    kept = []
    for column, candidate in enumerate(candidates):
        heads = queries[row] if queries.ndim == 3 else queries[row][None]
        score = max(float(np.dot(head, candidate)) for head in heads) / temperature
        if sampling_probability is not None:
            score -= math.log(min(max(sampling_probability[column], 1e-6), 1.0))
        hit = candidate_ids is not None and candidate_ids[column] == candidate_ids[row]
        masked = score_mask is not None and not score_mask[row, column]
        if column == row:
            kept.insert(0, (column, score))
        elif not hit and not masked:
            kept.append((column, score))
    return kept


def in_batch_softmax(
    queries: np.ndarray, candidates: np.ndarray, *, num_hard_negatives: int | None = None, **rules: Any
) -> list[float]:
    """`-log softmax` of each query's own candidate."""
    losses = []
    for row in range(len(queries)):
        scores = [score for _, score in scores_of(queries, candidates, row, **rules)]
        negatives = sorted(scores[1:], reverse=True)[:num_hard_negatives]
        everything = [scores[0], *negatives]
        highest = max(everything)
        losses.append(highest - scores[0] + math.log(sum(math.exp(each - highest) for each in everything)))
    return losses
