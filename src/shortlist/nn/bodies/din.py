"""The deep interest network: a perceptron over fields, one of them the history as the candidate sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from shortlist.nn.bodies.body import Body, FieldLayout, as_widths, check_dropout
from shortlist.nn.bodies.wide_deep import Deep
from shortlist.nn.mlp import BatchNorm


@dataclass(frozen=True)
class DIN(Body):
    """A perceptron with Dice activations over all fields, for rankers that read `History(pooling="target")`.

    Args:
        hidden: widths of the hidden layers.
        dropout: share of the hidden units that training hides.

    Raises:
        ConfigError: a number is out of range.

    Source: Zhou et al., Deep interest network for click-through rate prediction (KDD 2018).
    """

    hidden: Sequence[int] = (80, 40)
    dropout: float = 0.1
    needs_target_history: ClassVar[bool] = True

    def __post_init__(self) -> None:
        as_widths(self, "hidden", at_least=1)
        check_dropout(self)

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        layers: list[nn.Module] = []
        for before, after in pairwise((layout.total, *self.hidden)):
            layers += [nn.Linear(before, after), Dice(after), nn.Dropout(self.dropout)]
        return Deep(nn.Sequential(*layers, nn.Linear(self.hidden[-1], 1)))


class Dice(nn.Module):
    """An activation that bends where the data says: at the batch's mean, as fast as its deviation.

    Args:
        width: of the input.

    Source: Zhou et al., Deep interest network for click-through rate prediction (KDD 2018).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = BatchNorm(width, affine=False)
        self.slope = nn.Parameter(torch.zeros(width))

    def forward(self, inputs: Tensor) -> Tensor:
        """`[n, width]` to the same."""
        share = torch.sigmoid(self.norm(inputs))
        return inputs * (share + self.slope * (1 - share))
