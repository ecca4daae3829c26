"""Metrics the slow way: one row at a time, straight from their definitions."""

from __future__ import annotations

import math
from collections.abc import Sequence


def places(scores: dict[int, float], true_id: int, left_out: set[int]) -> list[int]:
    """The ranks that the true item can have, all equally likely; none if it can't be recommended."""
    if true_id not in scores or true_id in left_out:
        return []
    others = [score for item, score in scores.items() if item not in left_out and item != true_id]
    above = sum(score > scores[true_id] for score in others)
    tied = sum(score == scores[true_id] for score in others)
    return list(range(above + 1, above + tied + 2))


def one_true_item(ranks: list[int], ks: Sequence[int]) -> dict[str, float]:
    """Expected hit rates, NDCGs and reciprocal rank over the ranks of a single relevant item."""
    count = max(len(ranks), 1)
    figures = {f"hit_rate@{k}": sum(rank <= k for rank in ranks) / count for k in ks}
    for k in ks:
        figures[f"ndcg@{k}"] = sum(1 / math.log2(1 + rank) for rank in ranks if rank <= k) / count
    return figures | {"mrr": sum(1 / rank for rank in ranks) / count}


def ranked_list(ranked: Sequence[int], relevant: dict[int, float], k: int) -> dict[str, float] | None:
    """The metrics of one list; None without relevant items."""
    grades = {item: grade for item, grade in relevant.items() if item != 0 and grade > 0}
    if not grades:
        return None
    marks: list[float] = []
    for place, item in enumerate(ranked[:k]):
        marks.append(0.0 if item in ranked[:place] else grades.get(item, 0.0))
    hits = [rank for rank, mark in enumerate(marks, start=1) if mark > 0]
    best = sorted(grades.values(), reverse=True)[:k]
    return {
        "hit_rate": float(bool(hits)),
        "recall": len(hits) / len(grades),
        "precision": len(hits) / k,
        "ndcg": _dcg(marks) / _dcg(best),
        "mrr": 1 / hits[0] if hits else 0.0,
        "map": sum((n + 1) / rank for n, rank in enumerate(hits)) / min(k, len(grades)),
    }


def _dcg(grades: Sequence[float]) -> float:
    return sum((2**grade - 1) / math.log2(1 + rank) for rank, grade in enumerate(grades, start=1))


def mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """Weighted mean; NaN without weight."""
    total = sum(weights)
    return sum(v * w for v, w in zip(values, weights, strict=True)) / total if total else math.nan


def auc(scores: Sequence[float], labels: Sequence[int], weights: Sequence[float]) -> float:
    """Every positive against every negative."""
    rows = list(zip(scores, labels, weights, strict=True))
    won = total = 0.0
    for score, label, weight in rows:
        for other, other_label, other_weight in rows:
            if label == 1 and other_label == 0:
                total += weight * other_weight
                won += weight * other_weight * ((score > other) + (score == other) / 2)
    return won / total if total else math.nan


def grouped_auc(
    scores: Sequence[float], labels: Sequence[int], groups: Sequence[int], weights: Sequence[float]
) -> float:
    """The AUC of each group, averaged with the groups' weights."""
    areas, totals = [], []
    for group in set(groups):
        rows = [i for i, name in enumerate(groups) if name == group]
        area = auc([scores[i] for i in rows], [labels[i] for i in rows], [weights[i] for i in rows])
        if not math.isnan(area):
            areas.append(area)
            totals.append(sum(weights[i] for i in rows))
    return mean(areas, totals)
