"""Reciprocal rank fusion with dictionaries, and a funnel's losses with sets."""

from __future__ import annotations


def fuse(lists: list[list[int]]) -> list[int]:
    """The union of several ranked lists by the sum of `1 / (60 + rank)`; ties by lower item."""
    gains: dict[int, float] = {}
    for ranked in lists:
        for rank, item in enumerate(ranked, 1):
            gains[item] = gains.get(item, 0.0) + 1 / (60 + rank)
    return sorted(gains, key=lambda item: (-round(gains[item], 7), item))


def losses(stages: list[list[set[int]]], targets: list[int]) -> list[tuple[int, int]]:
    """For each stage, how many targets it kept and how many it dropped; `stages[0]` is what is possible."""
    alive, counts = list(range(len(targets))), []
    for lists in stages:
        kept = [row for row in alive if targets[row] in lists[row]]
        counts.append((len(kept), len(alive) - len(kept)))
        alive = kept
    return counts
