"""What passes from stage to stage: a list of rows with a score each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.items import Mask, Rows

LANES = 4  # columns of a grid of scores for each that is sought: the more, the fewer are sorted in vain


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


def best_rows(scores: NDArray[np.float32], k: int, allowed: Mask) -> Candidates:
    """The `k` allowed rows with the greatest scores, greatest first; ties by lower row.

    Args:
        scores: `[rows]`, finite.
        k: at most.
        allowed: `[rows]`.
    """
    # No more than these can stand before the k-th allowed row.
    needed = k + len(allowed) - int(np.count_nonzero(allowed))
    if needed < len(scores):
        # All that equal the last of them stay for now, since the lower rows among them win.
        rows = np.flatnonzero(scores >= _reached_by(scores, needed))
        rows = rows[allowed[rows]]
    else:
        rows = np.flatnonzero(allowed)
    order = np.argsort(-scores[rows], kind="stable")[:k]  # rows ascend, so ties keep the lower first
    rows = rows[order]
    return Candidates(rows, scores[rows])


def _reached_by(scores: NDArray[np.float32], count: int) -> np.float32:
    """A score that at least so many of them reach, and few more do.

    Args:
        scores: `[rows]`, more of them than `count`.
        count: from 1.
    """
    # The scores stand in a grid; as many columns as have a maximum that reaches it, so many scores do.
    depth = len(scores) // (LANES * count)
    if depth > 1:
        scores = scores[: len(scores) // depth * depth].reshape(depth, -1).max(axis=0)
    place = len(scores) - count
    least: np.float32 = np.partition(scores, place)[place]
    return least
