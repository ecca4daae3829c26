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


def full_softmax(
    queries: np.ndarray,
    candidates: np.ndarray,
    targets: list[int],
    *,
    temperature: float = 1.0,
    item_bias: list[float] | None = None,
    score_mask: np.ndarray | None = None,
) -> list[float]:
    """`-log softmax` of each query's own item among all that count."""
    losses = []
    for row, target in enumerate(targets):
        scores = [float(np.dot(queries[row], each)) / temperature for each in candidates]
        if item_bias is not None:
            scores = [score + bias for score, bias in zip(scores, item_bias, strict=True)]
        kept = [
            score
            for column, score in enumerate(scores)
            if column == target or score_mask is None or score_mask[row, column]
        ]
        highest = max(kept)
        losses.append(highest - scores[target] + math.log(sum(math.exp(each - highest) for each in kept)))
    return losses


def sampled_softmax(
    queries: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    *,
    temperature: float = 1.0,
    positive_ids: list[int] | None = None,
    negative_ids: np.ndarray | None = None,
    positive_probability: list[float] | None = None,
    negative_probability: np.ndarray | None = None,
    score_mask: np.ndarray | None = None,
) -> list[float]:
    """`-log softmax` of each query's own item among it and the drawn ones that count."""
    losses = []
    for row in range(len(queries)):
        drawn = negatives if negatives.ndim == 2 else negatives[row]
        own = float(np.dot(queries[row], positives[row])) / temperature
        if positive_probability is not None:
            own -= math.log(min(max(positive_probability[row], 1e-6), 1.0))
        scores = [own]
        for column, negative in enumerate(drawn):
            score = float(np.dot(queries[row], negative)) / temperature
            if negative_probability is not None:
                chance = negative_probability if negative_probability.ndim == 1 else negative_probability[row]
                score -= math.log(min(max(float(chance[column]), 1e-6), 1.0))
            ids = (
                None
                if negative_ids is None
                else negative_ids
                if negative_ids.ndim == 1
                else negative_ids[row]
            )
            hit = ids is not None and positive_ids is not None and ids[column] == positive_ids[row]
            if not hit and (score_mask is None or score_mask[row, column]):
                scores.append(score)
        highest = max(scores)
        losses.append(highest - own + math.log(sum(math.exp(each - highest) for each in scores)))
    return losses
