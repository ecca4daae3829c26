"""Logistic regression: a weight for every value of every feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from shortlist.nn.bodies.body import Body, FieldLayout


@dataclass(frozen=True)
class LR(Body):
    """Logistic regression, or linear regression where the loss is of ratings: no interactions at all.

    What every other body has to beat.

    Source: Richardson et al., Predicting clicks (WWW 2007).
    """

    has_fields: ClassVar[bool] = False
    first_order: ClassVar[bool] = True

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        return Bias()


class Bias(nn.Module):
    """One learned number: where the sums of weights start."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """`[1]`, whatever the fields."""
        return self.bias
