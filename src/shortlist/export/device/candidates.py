"""What passes from stage to stage: a list of rows with a score each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.items import Mask, Rows


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
        least = np.partition(scores, len(scores) - needed)[len(scores) - needed]
        rows = np.flatnonzero(scores >= least)
        rows = rows[allowed[rows]]
    else:
        rows = np.flatnonzero(allowed)
    order = np.argsort(-scores[rows], kind="stable")[:k]  # rows ascend, so ties keep the lower first
    rows = rows[order]
    return Candidates(rows, scores[rows])
