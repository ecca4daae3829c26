"""Clicks as examination times relevance, told apart by expectation and maximisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.losses import click_em
from shortlist.tasks.unbiased import UnbiasedRanking


class RegressionEM(UnbiasedRanking):
    """The position-based model of clicks: looked at, by its position, and relevant, by its features.

    The present model says how likely an item without a click was not looked at, or was not relevant, and both
    are trained towards that, step by step.

    Args:
        positions: how many there are; the first is 0.

    Raises:
        ConfigError: there is none.

    Source: Wang et al., Position bias estimation for unbiased learning to rank in personal search (WSDM
    2018).
    """

    def list_loss(self, scores: Ragged, clicks: Tensor, positions: Tensor, weights: dict[str, Any]) -> Tensor:
        """See `UnbiasedRanking.list_loss`."""
        both = torch.stack([self.logits[positions].to(scores.values.dtype), scores.values], dim=1)
        return click_em(Ragged(both, scores.offsets), clicks, **weights).mean()

    @torch.no_grad()
    def propensities(self) -> Tensor:
        """See `UnbiasedRanking.propensities`; here of chances, not of odds."""
        chances = torch.sigmoid(self.logits)
        return (chances / chances[0]).float().cpu()
