"""All that a dynamic table holds of some rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]
Float32Array = NDArray[np.float32]

# The kinds of rules that rows can follow; none before the first step.
RULES = ("", "sgd", "adagrad", "rowwise_adagrad", "adam")


def state_width(rule: str, dim: int) -> int:
    """Numbers of state that a row has under a rule.

    Args:
        rule: one of `RULES`.
        dim: width of the row.
    """
    return {"adagrad": dim, "rowwise_adagrad": 1, "adam": 2 * dim}.get(rule, 0)


@dataclass(frozen=True)
class RowRecords:
    """All that a table holds of some rows.

    Args:
        ids: `[n]` int64.
        weights: `[n, dim]` float32.
        state: `[n, width]` float32, the optimizer's numbers; their width depends on its rule and may be 0.
        counts: `[n]` int64, how often each id was looked up in training.
        last_seen: `[n]` int64, the steps that the table had taken when it last was.
    """

    ids: Int64Array
    weights: Float32Array
    state: Float32Array
    counts: Int64Array
    last_seen: Int64Array

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: NDArray[Any]) -> RowRecords:
        """Some of the records.

        Args:
            chosen: positions, or a mask.
        """
        parts = (self.ids, self.weights, self.state, self.counts, self.last_seen)
        return RowRecords(*(part[chosen] for part in parts))
