"""How each kind of feature encodes one value at a time: what `shortlist.data.encodings` must agree with."""

from __future__ import annotations

import bisect
import math
import re
import zlib
from collections.abc import Sequence
from typing import Any

DAY = 86_400


def vocabulary(values: Sequence[Any]) -> dict[Any, int]:
    """The index of each value: by descending count, then ascending; 0 is kept for the unknown."""
    counts: dict[Any, int] = {}
    for value in values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    return {value: place for place, value in enumerate(ordered, start=1)}


def bucket_of_hash(text: str | None, buckets: int) -> int:
    """CRC-32 into 1..buckets, 0 where missing."""
    return 0 if text is None else zlib.crc32(text.encode()) % buckets + 1


def is_known(value: float | None) -> bool:
    """Whether a number can be used: those of 1e100 and beyond count as missing."""
    return value is not None and math.isfinite(value) and abs(value) < 1e100


def standard(value: float | None, known: Sequence[float]) -> list[float]:
    """Distance from the mean of the known values in deviations, at most 100, and whether it is missing."""
    if not is_known(value):
        return [0.0, 1.0]
    mean = math.fsum(known) / len(known)
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in known) / len(known))
    if len(set(known)) == 1 or deviation == 0:
        deviation = 1.0
    distance = (value - mean) / deviation
    return [min(100.0, max(-100.0, distance)), 0.0]


def quantile_bucket(value: float | None, bounds: Sequence[float]) -> int:
    """1 below the first bound, one more from each bound on, 0 where missing."""
    return bisect.bisect_right(bounds, value) + 1 if is_known(value) else 0


def moment(seconds: float | None, known: Sequence[float]) -> list[float]:
    """Sines and cosines of the day, the week and the year, the bounded age, and whether it is missing."""
    if seconds is None:
        return [0.0] * 7 + [1.0]
    parts = []
    for cycle in (DAY, 7 * DAY, 365.2425 * DAY):
        angle = seconds * 2 * math.pi / cycle
        parts += [math.sin(angle), math.cos(angle)]
    mean = math.fsum(known) / len(known)
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in known) / len(known)) or 1.0
    return [*parts, min(4.0, max(-4.0, (seconds - mean) / deviation)), 0.0]


def text(value: str | None, ngrams: int, buckets: int) -> list[int]:
    """Hashes of all words, then of all pairs of words, and so on."""
    words = re.findall(r"[^\W_]+", (value or "").lower())
    runs = [
        " ".join(words[start : start + run])
        for run in range(1, ngrams + 1)
        for start in range(len(words) - run + 1)
    ]
    return [bucket_of_hash(run, buckets) for run in runs]


def tags(value: Sequence[str | None] | None, known: dict[str, int]) -> list[int]:
    """The indices of the tags that are known, in their order."""
    return [known[tag] for tag in value or [] if tag in known]
