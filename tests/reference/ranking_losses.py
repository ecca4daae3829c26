"""Losses of one list the slow way: one pair at a time, straight from their formulas, in double precision.

Each takes the list's scores (a float64 vector that PyTorch can differentiate by) and labels, and answers the
sum of what it compares and the sum of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

PairWeight = Callable[[int, int, Tensor, list[float], list[int]], float]


def ranks_of(scores: Tensor) -> list[int]:
    """Rank from 1; equal scores in the order of the list."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i].item(), i))
    ranks = [0] * len(order)
    for rank, i in enumerate(order, 1):
        ranks[i] = rank
    return ranks


def dcg(gains: list[float]) -> float:
    return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, 1))


def pairs(
    scores: Tensor,
    labels: list[float],
    loss: Callable[[Tensor, float], Tensor],
    weight: Callable[[int, int], float],
    *,
    equal: bool = False,
) -> tuple[Tensor, float]:
    total, weights = scores.sum() * 0, 0.0
    for i in range(len(labels)):
        for j in range(len(labels)):
            if i != j and (equal or labels[i] > labels[j]):
                total = total + weight(i, j) * loss(scores[i] - scores[j], labels[i] - labels[j])
                weights += weight(i, j)
    return total, weights


def logistic(difference: Tensor, _: float) -> Tensor:
    return torch.logaddexp(torch.zeros_like(difference), -difference)


def hinge(difference: Tensor, _: float) -> Tensor:
    return (1 - difference).clamp(min=0)


def soft_zero_one(difference: Tensor, _: float) -> Tensor:
    return torch.sigmoid(-difference)


def squared(difference: Tensor, margin: float) -> Tensor:
    return (difference - margin) ** 2


def ndcg_weight(scores: Tensor, labels: list[float], top_n: int | None) -> Callable[[int, int], float]:
    """LambdaLoss's weight of a pair, times the list's length."""
    ranks, n = ranks_of(scores), len(labels)
    cut = top_n or n
    ideal = dcg(sorted((2**label - 1 for label in labels), reverse=True)[:cut])

    def weight(i: int, j: int) -> float:
        if min(ranks[i], ranks[j]) > cut or ideal == 0:
            return 0.0
        distance = abs(ranks[i] - ranks[j])
        discount = 1 / math.log2(1 + distance) - 1 / math.log2(2 + distance)
        return abs(2 ** labels[i] - 2 ** labels[j]) / ideal * discount * n

    return weight


def softmax(scores: Tensor, labels: list[float]) -> tuple[Tensor, float]:
    logs = scores - scores.logsumexp(0)
    return -sum(label * log for label, log in zip(labels, logs, strict=True)), sum(labels)


def list_net(scores: Tensor, labels: list[float]) -> Tensor:
    shares = torch.softmax(torch.tensor(labels, dtype=torch.float64), 0)
    return -(shares * (scores - scores.logsumexp(0))).sum()


def unique_softmax(scores: Tensor, labels: list[float]) -> Tensor:
    total = scores.sum() * 0
    for i, label in enumerate(labels):
        rivals = [i, *(j for j, other in enumerate(labels) if other < label)]
        total = total + (2**label - 1) * (scores[rivals].logsumexp(0) - scores[i])
    return total


def list_mle(scores: Tensor, labels: list[float], discount: Callable[[int], float]) -> Tensor:
    order = sorted(range(len(labels)), key=lambda i: (-labels[i], -scores[i].item(), i))
    left = scores[order]
    return sum(
        (discount(place + 1) * (left[place:].logsumexp(0) - left[place]) for place in range(len(order))),
        scores.sum() * 0,
    )


def approximate_ranks(scores: Tensor, temperature: float) -> list[Tensor]:
    return [
        1 + sum((torch.sigmoid((scores[j] - s) / temperature) for j in range(len(scores)) if j != i), s * 0)
        for i, s in enumerate(scores)
    ]


def approx_ndcg(scores: Tensor, labels: list[float], temperature: float) -> Tensor:
    ideal = dcg(sorted((2**label - 1 for label in labels), reverse=True))
    ranks = approximate_ranks(scores, temperature)
    gains = [(2**label - 1) / torch.log2(1 + rank) for label, rank in zip(labels, ranks, strict=True)]
    return -sum(gains) / ideal


def approx_mrr(scores: Tensor, labels: list[float], temperature: float) -> Tensor:
    ranks = approximate_ranks(scores, temperature)
    return -sum(label / rank for label, rank in zip(labels, ranks, strict=True)) / sum(labels)


def smooth_permutation(keys: Tensor) -> Tensor:
    n = len(keys)
    spread = torch.stack([(keys - key).abs().sum() for key in keys])
    return torch.stack([torch.softmax((n + 1 - 2 * place) * keys - spread, 0) for place in range(1, n + 1)])


def neural_sort_cross_entropy(scores: Tensor, labels: list[float]) -> Tensor:
    wanted = smooth_permutation(torch.tensor(labels, dtype=torch.float64))
    return -(wanted * (smooth_permutation(scores) + 1e-20).log()).sum() / len(labels)


def neural_sort_ndcg(scores: Tensor, labels: list[float]) -> Tensor:
    gains = torch.tensor([2**label - 1 for label in labels], dtype=torch.float64)
    discounts = torch.tensor(
        [1 / math.log2(1 + rank) for rank in range(1, len(labels) + 1)], dtype=torch.float64
    )
    return -(smooth_permutation(scores) @ gains @ discounts) / dcg(sorted(gains.tolist(), reverse=True))


def circle(scores: Tensor, labels: list[float], gamma: float, margin: float) -> Tensor:
    clipped = scores.clamp(0, 1)
    pull, push = (1 + margin - clipped).detach().clamp(min=0), (clipped + margin).detach().clamp(min=0)
    terms = [clipped.sum() * 0]
    terms += [
        gamma * (pull[i] * (1 - margin - clipped[i]) + push[j] * (clipped[j] - margin))
        for i in range(len(labels))
        for j in range(len(labels))
        if labels[i] > labels[j]
    ]
    return torch.stack(terms).logsumexp(0)


def neighbours(scores: Tensor) -> set[tuple[int, int]]:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i].item(), i))
    return {pair for a, b in pairwise(order) for pair in ((a, b), (b, a))}
