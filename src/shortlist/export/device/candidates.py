"""What passes from stage to stage: a list of rows with a score each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.items import Rows

LANES = 32  # columns of a grid of scores for each that is sought: the more, the fewer are sorted in vain


@dataclass(frozen=True, eq=False)
class Candidates:
    """A list of items, best first.

    Args:
        rows: `[n]` int64.
        scores: `[n]` float32.
    """

    rows: Rows
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        """The number of candidates."""
        return len(self.rows)

    def take(self, places: NDArray[Any]) -> Candidates:
        """Some of them by their places, in the order given, or those where a mask is true."""
        return Candidates(self.rows[places], self.scores[places])

    def head(self, count: int) -> Candidates:
        """The first of them."""
        return Candidates(self.rows[:count], self.scores[:count])


def best(rows: Rows, scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """The places of the `k` greatest scores, greatest first; ties by lower row.

    Args:
        rows: `[n]`.
        scores: `[n]`, finite.
        k: at most.
    """
    return np.lexsort((rows, -scores))[:k]


def best_rows(scores: NDArray[np.float32], k: int, barred: Rows) -> Candidates:
    """The `k` rows with the greatest scores but for some, greatest first; ties by lower row.

    Args:
        scores: `[rows]`, finite; overwritten.
        k: at most.
        barred: rows that must not come.
    """
    rows = contenders(scores, k, barred, lowest=-np.inf)
    return greatest(rows, scores[rows], k)


def greatest(rows: Rows, scores: NDArray[np.float32], k: int) -> Candidates:
    """The `k` greatest of some rows, greatest first; ties by lower row.

    Args:
        rows: `[n]`, ascending.
        scores: `[n]`.
        k: at most.
    """
    order = (-scores).argsort(kind="stable")[:k]  # stable, so ties keep the lower row first
    return Candidates(rows[order], scores[order])


def contenders(scores: NDArray[Any], k: int, barred: Rows, *, lowest: float, margin: int = 0) -> Rows:
    """The rows that can be among the `k` with the greatest scores but for some; few more than `k`.

    Args:
        scores: `[rows]`; overwritten.
        k: how many are sought.
        barred: rows that must not come.
        lowest: less than any score.
        margin: a row may stand before another whose score is greater by no more than that.

    Returns:
        Rows, ascending.
    """
    scores[barred] = lowest
    least = _reached_by(scores, min(k, len(scores)))
    # All that equal the last of them stay, since the lower rows among them win.
    found: Rows = (scores > lowest if least == lowest else scores >= least - margin).nonzero()[0]
    return found


def _reached_by(scores: NDArray[Any], count: int) -> Any:
    """A score that at least so many of them reach, and few more do.

    Args:
        scores: `[rows]`, as many as `count` or more.
        count: from 1.
    """
    # The scores stand in a grid; as many columns as have a maximum that reaches it, so many scores do.
    depth = len(scores) // (LANES * count)
    highest = (
        scores[: len(scores) // depth * depth].reshape(depth, -1).max(axis=0) if depth > 1 else scores.copy()
    )
    place = len(highest) - count
    highest.partition(place)
    return highest[place]
