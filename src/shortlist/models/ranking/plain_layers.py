"""The layers of a deep and cross network where they are ones that the native kernels know."""

from __future__ import annotations

from typing import NamedTuple, cast

from torch import nn
from torch.nn.functional import relu

from shortlist.nn.bodies.dcn import StackedCrosses
from shortlist.nn.cross import Cross
from shortlist.nn.mlp import MLP


class PlainLayers(NamedTuple):
    """Crosses in matrix form, and linear layers with ReLU between them.

    Args:
        crosses: without a preactivation.
        linears: the last makes the score.
        dropout: share of the hidden units that is hidden: none but in training.
    """

    crosses: list[Cross]
    linears: list[nn.Linear]
    dropout: float


def plain_layers(network: nn.Module | None) -> PlainLayers | None:
    """The layers of a network; None where one is not a plain cross or a plain MLP's.

    Args:
        network: of a ranker.
    """
    if type(network) is not StackedCrosses:
        return None
    crosses, deep = [cast(Cross, cross) for cross in network.crosses], network.deep
    for cross in crosses:
        if type(cross) is not Cross or cross.form != "matrix" or cross.preactivation is not None:
            return None
    if type(deep) is not MLP or deep.norms is not None or deep.final_activation is not None:
        return None
    linears = [cast(nn.Linear, linear) for linear in deep.linears]
    if len(linears) > 1 and deep.activation is not relu:
        return None
    return PlainLayers(crosses, linears, float(deep.dropout.p) if deep.dropout.training else 0.0)
