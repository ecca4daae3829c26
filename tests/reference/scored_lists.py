"""Metrics of one scored list the slow way: all orders that a tie allows, straight from the definitions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby, permutations, product

Item = tuple[float, int, float]  # score, label, weight


def orders(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Every order by falling score; equal scores in each of their orders."""
    ranked = sorted(items, key=lambda item: -item[0])
    groups = [list(group) for _, group in groupby(ranked, key=lambda item: item[0])]
    for chosen in product(*(permutations(group) for group in groups)):
        yield [item for group in chosen for item in group]


def worst(items: Sequence[Item]) -> list[Item]:
    """By falling score, the worse item of a tie first."""
    return sorted(items, key=lambda item: (-item[0], item[1]))


def expected(items: Sequence[Item], k: int) -> dict[str, float]:
    """The metrics that are defined for any list with a relevant item, over all orders alike."""
    figures = [of_order(order, k) for order in orders(items)]
    return {name: sum(figure[name] for figure in figures) / len(figures) for name in figures[0]}


def of_order(order: Sequence[Item], k: int) -> dict[str, float]:
    labels = [label for _, label, _ in order]
    relevant = [label >= 1 for label in labels]
    first = relevant.index(True) + 1
    gains = [(2**label - 1) * weight for _, label, weight in order]
    precisions = [
        weight * sum(relevant[:rank]) / rank
        for rank, (hit, (_, _, weight)) in enumerate(zip(relevant, order, strict=True), 1)
        if hit and rank <= k
    ]
    marks = [label * weight for _, label, weight in order]
    return {
        "dcg": dcg(gains[:k]),
        "ndcg": dcg(gains[:k]) / dcg(sorted(gains, reverse=True)[:k]),
        "reciprocal_rank": 1 / first if first <= k else 0.0,
        "hit_rate": float(first <= k),
        "precision": sum(relevant[:k]) / min(k, len(order)),
        "recall": sum(relevant[:k]) / sum(relevant),
        "average_precision": sum(precisions) / sum(weight for _, label, weight in order if label >= 1),
        "average_relevance_position": sum(rank * mark for rank, mark in enumerate(marks, 1)) / sum(marks),
    }


def dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, 1))


def pair_accuracy(items: Sequence[Item]) -> float:
    won = total = 0.0
    for score, label, weight in items:
        for other, other_label, _ in items:
            if label > other_label:
                total += weight
                won += weight * ((score > other) + (score == other) / 2)
    return won / total if total else math.nan


def expected_reciprocal_rank(items: Sequence[Item], k: int, highest: float) -> float:
    reached, total = 1.0, 0.0
    for rank, (_, label, _) in enumerate(worst(items)[:k], 1):
        stop = (2**label - 1) / 2**highest
        total += reached * stop / rank
        reached *= 1 - stop
    return total


def bpref(items: Sequence[Item], k: int, trec: bool) -> float:
    relevant = sum(label >= 1 for _, label, _ in items)
    others = len(items) - relevant
    scale = min(relevant, others) if trec else relevant
    above, total = 0, 0.0
    for _, label, _ in worst(items)[:k]:
        if label >= 1:
            total += 1 - (min(above, relevant) / scale if scale else 0.0)
        else:
            above += 1
    return total / relevant
