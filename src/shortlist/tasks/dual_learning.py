"""Relevance and position bias learned from each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError
from shortlist.losses import softmax
from shortlist.tasks.unbiased import UnbiasedRanking


class DualLearning(UnbiasedRanking):
    """The dual learning algorithm: two softmax losses, each weighted by what the other has learned.

    The ranker's loss weighs a click by the inverse of how much its position is looked at; the positions' loss
    weighs it by the inverse of how relevant the ranker finds the item.

    Args:
        positions: how many there are; the first is 0.
        most: what a weight is cut to, so that single clicks far below do not rule the loss.

    Raises:
        ConfigError: there is no position, or `most` is less than 1.

    Source: Ai et al., Unbiased learning to rank with unbiased propensity estimation (SIGIR 2018).
    """

    def __init__(self, positions: int, *, most: float = 20.0) -> None:
        super().__init__(positions)
        if not most >= 1:
            raise ConfigError(f"most is {most}", remedy="pass a weight of at least 1, such as 20")
        self.most = most

    def list_loss(self, scores: Ragged, clicks: Tensor, positions: Tensor, weights: dict[str, Any]) -> Tensor:
        """See `UnbiasedRanking.list_loss`."""
        looked_at = Ragged(self.logits[positions], scores.offsets)
        with torch.no_grad():
            unlooked = (self.logits[0] - looked_at.values).exp().clamp(max=self.most)
            unwanted = (_scores_on_top(scores, positions) - scores.values).exp().clamp(max=self.most)
        ranking = softmax(scores, clicks, item_weights=unlooked, **weights)
        bias = softmax(looked_at, clicks, item_weights=unwanted, **weights)
        return ranking.mean() + bias.mean()


def _scores_on_top(scores: Ragged, positions: Tensor) -> Tensor:
    """`[total]` the score of the item that was shown first in the same list."""
    rows = scores.row_ids()
    far = torch.iinfo(torch.int64).max
    first = positions.new_full((len(scores),), far).scatter_reduce(0, rows, positions, "amin")
    on_top = positions == first[rows]
    found = scores.values.new_zeros(len(scores))
    found[rows[on_top]] = scores.values[on_top]
    return found[rows]
