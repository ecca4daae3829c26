"""Calibration, one example at a time: what `shortlist.calibration` must agree with."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pool_adjacent_violators(
    scores: Sequence[float], labels: Sequence[float], weights: Sequence[float]
) -> dict[float, float]:
    """For each score, the value of the best function that does not fall."""
    blocks: list[tuple[float, float, list[float]]] = []  # weighted sum, weight, scores
    for score in sorted(set(scores)):
        own = [place for place, each in enumerate(scores) if each == score]
        total = math.fsum(weights[place] for place in own)
        blocks.append((math.fsum(weights[place] * labels[place] for place in own), total, [score]))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            later, earlier = blocks.pop(), blocks.pop()
            blocks.append((earlier[0] + later[0], earlier[1] + later[1], earlier[2] + later[2]))
    return {score: total / weight for total, weight, members in blocks for score in members}


def log_loss(logits: Sequence[float], targets: Sequence[float], weights: Sequence[float]) -> float:
    """The weighted sum of the negative log-likelihoods."""
    return math.fsum(
        weight * (max(logit, 0.0) + math.log1p(math.exp(-abs(logit))) - target * logit)
        for logit, target, weight in zip(logits, targets, weights, strict=True)
    )


def expected_error(
    probabilities: Sequence[float], labels: Sequence[float], weights: Sequence[float], bins: int
) -> float:
    """The expected calibration error over bins of equal width."""
    total = 0.0
    for number in range(bins):
        own = [
            place for place, chance in enumerate(probabilities) if min(int(chance * bins), bins - 1) == number
        ]
        gap = math.fsum(weights[place] * (probabilities[place] - labels[place]) for place in own)
        total += abs(gap)
    return total / math.fsum(weights)
