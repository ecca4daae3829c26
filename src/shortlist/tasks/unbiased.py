"""What the tasks share that learn from clicks at known positions: a bias for each position."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.losses.lists.inputs import are_finite


class UnbiasedRanking(nn.Module):
    """A loss of clicked lists that also learns how much each position is looked at.

    People look at what stands on top, so what stood on top has more clicks than it deserves. A task of this
    kind learns a number for each position beside the ranker, and keeps the two apart. The ranker must not see
    the position among its features.

    Write `list_loss`, from scores, clicks and the positions' logits to a loss.

    Args:
        positions: how many there are; the first is 0.

    Raises:
        ConfigError: there is none.
    """

    def __init__(self, positions: int) -> None:
        super().__init__()
        if not isinstance(positions, int) or positions < 1:
            raise ConfigError(
                f"positions is {positions!r}", remedy="pass how many items are shown, such as 10"
            )
        self.logits = nn.Parameter(torch.zeros(positions))

    def list_loss(self, scores: Ragged, clicks: Tensor, positions: Tensor, weights: dict[str, Any]) -> Tensor:
        """The loss of checked lists.

        Args:
            scores: one row a list, `[total]` finite scores.
            clicks: `[total]`, 0 or more.
            positions: `[total]` int64, each within range.
            weights: `list_weights` for a loss.

        Returns:
            Scalar.
        """
        raise NotImplementedError(f"{type(self).__name__} must define list_loss")

    def forward(
        self, scores: Ragged, clicks: Tensor, positions: Tensor, *, list_weights: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch.

        Args:
            scores: one row a list, `[total]` scores of how relevant each item is.
            clicks: `[total]`, 0 for none.
            positions: `[total]` int64, the place from 0 at which each item was shown.
            list_weights: `[lists]`, 0 or more; None weighs all lists alike.

        Returns:
            Scalar; 0 for a batch that teaches nothing, NaN where a score is not finite, which `fit` reports.

        Raises:
            DataError: a position is out of range, or a label or weight is negative or not a finite number.
            ShapeError: the arguments do not fit together.
        """
        self._check(scores, positions)
        if not are_finite(scores.values):
            return scores.values.sum() * torch.nan
        return self.list_loss(scores, clicks, positions, {"list_weights": list_weights})

    @torch.no_grad()
    def propensities(self) -> Tensor:
        """How likely an item at each position is looked at, beside one at the first.

        Returns:
            `[positions]` float32 on the CPU; the first is 1.
        """
        return torch.exp(self.logits - self.logits[0]).float().cpu()

    def _check(self, scores: Ragged, positions: Tensor) -> None:
        if positions.shape != scores.values.shape[:1] or positions.dtype != torch.int64:
            raise ShapeError(
                f"positions are {positions.dtype} {tuple(positions.shape)} for {len(scores.values)} items",
                remedy="pass one int64 position an item",
            )
        if len(positions) == 0:
            return
        low, high = int(positions.min()), int(positions.max())
        if low < 0 or high >= len(self.logits):
            raise DataError(
                f"position {low if low < 0 else high} is not among the task's {len(self.logits)} positions",
                remedy=f"count them from 0, and give the task positions={high + 1}, or cut the lists",
            )
