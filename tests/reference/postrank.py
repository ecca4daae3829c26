"""Post-ranking one request at a time, in plain Python: slow, and easy to check by eye.

A list is a list of (item, score) pairs, best first; every function returns items, best first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

Pairs = Sequence[tuple[int, float]]
MASK = (1 << 64) - 1


def unit(pairs: Pairs) -> list[float]:
    scores = [score for _, score in pairs]
    if not scores or min(scores) == max(scores):
        return [1.0] * len(scores)
    return [(score - min(scores)) / (max(scores) - min(scores)) for score in scores]


def by_utility(pairs: Pairs, utility: Sequence[float]) -> list[int]:
    order = sorted(range(len(pairs)), key=lambda place: (-utility[place], place))
    return [pairs[place][0] for place in order]


def mmr(pairs: Pairs, similar: Callable[[int, int], float], strength: float, size: int) -> list[int]:
    relevance = dict(zip([item for item, _ in pairs], unit(pairs), strict=True))
    left, picked = [item for item, _ in pairs], []
    while left and len(picked) < size:
        gains = [
            (1 - strength) * relevance[item]
            - strength * max((similar(item, other) for other in picked), default=0.0)
            for item in left
        ]
        picked.append(left.pop(_first_best(gains)))
    return picked + left


def dpp(pairs: Pairs, similar: Callable[[int, int], float], strength: float, size: int) -> list[int]:
    """Determinants from scratch: the variance left is det(S of picked and item) / det(S of picked)."""
    relevance = dict(zip([item for item, _ in pairs], unit(pairs), strict=True))
    left, picked = [item for item, _ in pairs], []
    while left and len(picked) < size:
        gains = [
            (1 - strength) * relevance[item]
            + strength * math.log(max(variance_left(item, picked, similar), 1e-10))
            for item in left
        ]
        picked.append(left.pop(_first_best(gains)))
    return picked + left


def variance_left(item: int, picked: list[int], similar: Callable[[int, int], float]) -> float:
    if not picked:
        return 1.0
    kernel = np.array([[1.0 if a == b else similar(a, b) for b in picked] for a in picked])
    row = np.array([similar(item, other) for other in picked])
    return float(1 - row @ np.linalg.pinv(kernel, rcond=1e-10, hermitian=True) @ row)


def _first_best(gains: list[float]) -> int:
    rounded = [round(gain * 2**30) for gain in gains]
    return rounded.index(max(rounded))


def jaccard(tags: Sequence[Sequence[object]]) -> Callable[[int, int], float]:
    def similar(a: int, b: int) -> float:
        either = set(tags[a]) | set(tags[b])
        return len(set(tags[a]) & set(tags[b])) / len(either) if either else 0.0

    return similar


def cosine(vectors: np.ndarray, *, shifted: bool) -> Callable[[int, int], float]:
    def similar(a: int, b: int) -> float:
        norms = np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b])
        value = float(vectors[a] @ vectors[b] / norms) if norms > 0 else 0.0
        return min(max((1 + value) / 2 if shifted else value, 0.0), 1.0)

    return similar


def cap(pairs: Pairs, tags: Sequence[Sequence[object]], at_most: int, *, fill: bool) -> list[int]:
    counts: Counter[object] = Counter()
    kept, skipped = [], []
    for item, _ in pairs:
        values = set(tags[item])
        if all(counts[value] < at_most for value in values):
            counts.update(values)
            kept.append(item)
        else:
            skipped.append(item)
    return kept + (skipped if fill else [])


def freshness(
    pairs: Pairs, dates: Sequence[int | None], now: int, half_life: int, strength: float
) -> list[int]:
    ages = [None if dates[item] is None or now == 0 else max(now - dates[item], 0) for item, _ in pairs]
    decays = [None if age is None else 2.0 ** (-age / half_life) for age in ages]
    known = [decay for decay in decays if decay is not None]
    mean = sum(known) / len(known) if known else 1.0
    utility = [
        score * ((1 - strength) + strength * (mean if decay is None else decay))
        for score, decay in zip(unit(pairs), decays, strict=True)
    ]
    return by_utility(pairs, utility)


def boost(pairs: Pairs, x: Sequence[float], by: float, how: str) -> list[int]:
    scores = unit(pairs)
    utility = [
        score * (1 + by * x[item]) if how == "multiply" else score + by * x[item]
        for (item, _), score in zip(pairs, scores, strict=True)
    ]
    return by_utility(pairs, utility)


def splitmix(key: int) -> int:
    key &= MASK
    key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & MASK
    return key ^ (key >> 31)


def uniform(key: int, number: int) -> float:
    mixed = splitmix(key + splitmix(number + 0x9E3779B97F4A7C15))
    return ((mixed >> 11) + 0.5) / 2.0**53


def request_key(seed: int, user: int, time: int) -> int:
    """Of a known user."""
    return splitmix(splitmix(user + seed * 0x9E3779B97F4A7C15 + 0xBF58476D1CE4E5B9) + time)


def fill_places(items: Sequence[int], places: Sequence[int], drawn: Sequence[int]) -> list[int]:
    """Put `drawn[i]` at `places[i]`; the others keep their order."""
    target = dict(zip(places, drawn, strict=False))
    chosen = set(target.values())
    others = iter(item for item in items if item not in chosen)
    return [target[place] if place in target else next(others) for place in range(len(items))]


def reserve(items: Sequence[int], exposure: Sequence[float], size: int, slots: int, key: int) -> list[int]:
    head = max(size - slots, 0)
    order = sorted(items[head:], key=lambda item: -math.log(uniform(key, 2 * item)) * (1 + exposure[item]))
    return fill_places(items, range(head, min(size, len(items))), order)


def epsilon(items: Sequence[int], chance: float, size: int, key: int) -> list[int]:
    places = [place for place in range(min(size, len(items))) if uniform(key, 2 * place + 1) < chance]
    return fill_places(items, places, sorted(items[size:], key=lambda item: uniform(key, 2 * item)))
