"""How much a search must look at to reach a recall."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class EffortCurve:
    """The recall of a search by its effort.

    Args:
        depths: the k measured, ascending.
        efforts: `[points]` float64, ascending; the last is every item.
        recalls: `[depths, points]` float64.
    """

    depths: tuple[int, ...]
    efforts: NDArray[np.float64]
    recalls: NDArray[np.float64]
    _known: dict[tuple[int, float], float] = field(init=False, default_factory=dict, repr=False)

    def effort_for(self, k: int, recall: float) -> float:
        """The least effort measured to reach a recall at k, between and beyond depths by their logarithms.

        Args:
            k: results a query.
            recall: 0 to 1.
        """
        if (k, recall) not in self._known:
            self._known[k, recall] = self._effort_for(k, recall)
        return self._known[k, recall]

    def _effort_for(self, k: int, recall: float) -> float:
        logs = np.log([self._least(depth, recall) for depth in range(len(self.depths))])
        places = np.log(self.depths)
        wanted = np.log(k)
        if wanted > places[-1]:  # as steep as the square root, at least k
            return max(float(np.exp(logs[-1] + 0.5 * (wanted - places[-1]))), 2.0 * k)
        return max(float(np.exp(np.interp(wanted, places, logs))), 2.0 * k)

    def _least(self, depth: int, recall: float) -> float:
        reached = self.recalls[depth] >= recall
        if not reached.any():
            return float(self.efforts[-1])
        first = int(np.argmax(reached))
        if first == 0:
            return float(self.efforts[0])
        low, high = self.recalls[depth, first - 1 : first + 1]
        share = (recall - low) / (high - low)
        return float(np.exp(np.interp(share, [0, 1], np.log(self.efforts[first - 1 : first + 1]))))

    def points(self, k: int) -> list[tuple[int, float]]:
        """(effort, recall) pairs at the measured depth nearest to k."""
        depth = int(np.argmin(np.abs(np.log(self.depths) - np.log(k))))
        return [
            (round(effort), float(recall))
            for effort, recall in zip(self.efforts, self.recalls[depth], strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """The curve as plain values."""
        return {
            "depths": list(self.depths),
            "efforts": self.efforts.tolist(),
            "recalls": self.recalls.tolist(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EffortCurve:
        """The curve that `to_json` wrote.

        Raises:
            KeyError, ValueError: it is none.
        """
        depths = tuple(int(depth) for depth in value["depths"])
        efforts, recalls = np.array(value["efforts"], np.float64), np.array(value["recalls"], np.float64)
        if not depths or recalls.shape != (len(depths), len(efforts)) or len(efforts) == 0:
            raise ValueError("the curve of efforts is damaged")
        in_range = ((efforts >= 1) & (efforts < np.inf)).all() and ((recalls >= 0) & (recalls <= 1)).all()
        if not in_range or not (np.diff(depths, prepend=0) > 0).all():
            raise ValueError("the curve of efforts holds values that nothing could have measured")
        return cls(depths, efforts, recalls)


def kept_for(k: int) -> int:
    """How many of the best by codes are scored in full for k results: what rounding can have misplaced."""
    return k + 6 + k // 4
