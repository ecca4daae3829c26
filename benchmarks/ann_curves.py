"""Reading an index's curve: the cheapest setting of a knob that reaches a recall."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.ann_measure import Measurement

STRIDE = 6  # rungs that the search goes up at a time before it looks in between


def geometric_ladder(lowest: int, highest: int, ratio: float = 1.1) -> list[int]:
    """Integers from the lowest to the highest, each larger than the one before by the ratio or by 1.

    Args:
        lowest: first rung, at least 1.
        highest: last rung; it is always there.
        ratio: above 1.
    """
    rungs = [lowest]
    while rungs[-1] < highest:
        rungs.append(min(highest, max(rungs[-1] + 1, round(rungs[-1] * ratio))))
    return rungs


def cheapest(
    measure: Callable[[int], Measurement], ladder: Sequence[int], target: float, *, floor: float = 0.0
) -> int | None:
    """The lowest rung whose recall reaches the target, where recall grows along the ladder.

    Args:
        measure: what a rung gives; it is asked for about ten of them.
        ladder: the knob's values, from fast to slow.
        target: recall.
        floor: queries a second at which a better choice is known: a rung that is slower and still below the
            target ends the search.

    Returns:
        The position on the ladder, or None when the target is out of reach or not worth reaching.
    """
    low, high = -1, 0  # low misses the target, high is what is tried next
    while True:
        measured = measure(ladder[high])
        if measured.recall >= target:
            break
        if high == len(ladder) - 1 or measured.qps < floor:
            return None
        low, high = high, min(high + STRIDE, len(ladder) - 1)
    while high - low > 1:
        middle = (low + high) // 2
        if measure(ladder[middle]).recall >= target:
            high = middle
        else:
            low = middle
    return high


def settle(
    measure: Callable[[int], Measurement], ladder: Sequence[int], position: int, target: float
) -> int | None:
    """Correct a choice that was made on a part of the queries, rung by rung, on all of them.

    Args:
        measure: what a rung gives on all the queries.
        ladder: the knob's values.
        position: the choice.
        target: recall.

    Returns:
        The lowest position near the choice that reaches the target, or None when the ladder ends before.
    """
    while measure(ladder[position]).recall < target:
        position += 1
        if position == len(ladder):
            return None
    while position > 0 and measure(ladder[position - 1]).recall >= target:
        position -= 1
    return position


def fitted_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The e of `seconds ~ sizes ** e`, by least squares on the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
