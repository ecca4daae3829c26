"""Gradients of several tasks, one number at a time: what `shortlist.tasks` must agree with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

Vector = list[float]


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def surgery(gradients: Sequence[Vector], orders: Sequence[Sequence[int]]) -> Vector:
    """Algorithm 1 of PCGrad; `orders` holds the order of the other tasks for each task."""
    total = [0.0] * len(gradients[0])
    for task, order in enumerate(orders):
        left = list(gradients[task])
        for other in order:
            against = dot(left, gradients[other])
            if other != task and against < 0:
                part = against / dot(gradients[other], gradients[other])
                left = [a - part * b for a, b in zip(left, gradients[other], strict=True)]
        total = [a + b for a, b in zip(total, left, strict=True)]
    return total


def every_surgery(gradients: Sequence[Vector]) -> list[Vector]:
    """The results of all orders that the tasks may be gone through in."""
    numbers = range(len(gradients))

    def choices(tasks: int) -> list[list[tuple[int, ...]]]:
        if tasks == 0:
            return [[]]
        return [[*before, order] for before in choices(tasks - 1) for order in permutations(numbers)]

    return [surgery(gradients, orders) for orders in choices(len(gradients))]


def grad_norm_slopes(
    norms: Sequence[float],
    weights: Sequence[float],
    losses: Sequence[float],
    first: Sequence[float],
    alpha: float,
) -> Vector:
    """How equation 2 of GradNorm changes with each weight, by a difference of two values, target fixed."""
    ratios = [now / then for now, then in zip(losses, first, strict=True)]
    mean_ratio = math.fsum(ratios) / len(ratios)
    mean_norm = math.fsum(w * n for w, n in zip(weights, norms, strict=True)) / len(norms)
    targets = [mean_norm * (ratio / mean_ratio) ** alpha for ratio in ratios]

    def imbalance(at: Sequence[float]) -> float:
        return math.fsum(abs(w * n - t) for w, n, t in zip(at, norms, targets, strict=True))

    found = []
    for task in range(len(norms)):
        ends = [
            imbalance([w + (shift if place == task else 0) for place, w in enumerate(weights)])
            for shift in (1e-6, -1e-6)
        ]
        found.append((ends[0] - ends[1]) / 2e-6)
    return found
