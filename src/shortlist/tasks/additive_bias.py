"""Two towers of clicks: what the item is worth, plus what its position is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError
from shortlist.losses import ListLosses, softmax
from shortlist.tasks.unbiased import UnbiasedRanking


class AdditiveBias(UnbiasedRanking):
    """The additive two-tower model: a loss of the clicks under score plus position bias.

    The bias is part of the training alone. Under the softmax, adding logits multiplies chances, as the
    position-based model of clicks does.

    Args:
        positions: how many there are; the first is 0.
        loss: a function of lists of scores and labels, such as `losses.sigmoid_cross_entropy`.
        dropout: share of the items whose bias training leaves out, so that the positions do not explain away
            what the ranker could know; useful where the shown order followed relevance closely.

    Raises:
        ConfigError: there is no position, or the dropout is out of range.

    Source: Zhao et al., Recommending what video to watch next (RecSys 2019); Yan et al., Revisiting two-tower
    models for unbiased learning to rank (SIGIR 2022).
    """

    def __init__(
        self, positions: int, *, loss: Callable[..., ListLosses] = softmax, dropout: float = 0.0
    ) -> None:
        super().__init__(positions)
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout is {dropout}", remedy="pass a share in [0, 1), such as 0.1")
        self.loss, self.dropout = loss, dropout

    def list_loss(self, scores: Ragged, clicks: Tensor, positions: Tensor, weights: dict[str, Any]) -> Tensor:
        """See `UnbiasedRanking.list_loss`."""
        bias = self.logits[positions]
        if self.training and self.dropout:
            bias = bias * (torch.rand(len(bias), device=bias.device) >= self.dropout)
        return self.loss(Ragged(scores.values + bias, scores.offsets), clicks, **weights).mean()
