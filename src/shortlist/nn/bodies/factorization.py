"""Factorisation machines, alone and beside a perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from shortlist.nn.bodies.body import Body, FieldLayout, as_widths, check_dropout, perceptron, stack
from shortlist.nn.interaction import pairwise_sum


@dataclass(frozen=True)
class FM(Body):
    """A factorisation machine: first-order weights and the inner product of every pair of fields.

    Source: Rendle, Factorization machines (ICDM 2010).
    """

    one_width: ClassVar[bool] = True
    first_order: ClassVar[bool] = True

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        return FactorizationMachine()


@dataclass(frozen=True)
class DeepFM(Body):
    """A factorisation machine and a perceptron over the same embeddings, added up.

    Args:
        hidden: widths of the perceptron's hidden layers.
        dropout: share of the hidden units that training hides.
        batch_norm: whether hidden layers are normalised over the batch.

    Raises:
        ConfigError: a number is out of range.

    Source: Guo et al., DeepFM (IJCAI 2017).
    """

    hidden: Sequence[int] = (128, 64)
    dropout: float = 0.1
    batch_norm: bool = False
    one_width: ClassVar[bool] = True
    first_order: ClassVar[bool] = True

    def __post_init__(self) -> None:
        as_widths(self, "hidden", at_least=1)
        check_dropout(self)

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        return DeepFactorizationMachine(
            perceptron(layout.total, self.hidden, dropout=self.dropout, batch_norm=self.batch_norm)
        )


class FactorizationMachine(nn.Module):
    """The inner products of all pairs of fields, and a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields of one width to `[n]`."""
        return pairwise_sum(stack(fields)) + self.bias


class DeepFactorizationMachine(nn.Module):
    """The inner products of all pairs of fields, and a perceptron over all of them.

    Args:
        deep: the perceptron, which has the bias.
    """

    def __init__(self, deep: nn.Module) -> None:
        super().__init__()
        self.deep = deep

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields of one width to `[n]`."""
        block = stack(fields)
        deep: Tensor = self.deep(block.flatten(1))
        return pairwise_sum(block) + deep.squeeze(1)
