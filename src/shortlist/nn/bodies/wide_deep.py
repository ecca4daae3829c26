"""Wide & Deep: memorise with single weights, generalise with a perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from shortlist.nn.bodies.body import Body, FieldLayout, as_widths, check_dropout, perceptron, side_by_side


@dataclass(frozen=True)
class WideDeep(Body):
    """First-order weights (wide) and a perceptron over all fields (deep), added up.

    Args:
        hidden: widths of the perceptron's hidden layers.
        dropout: share of the hidden units that training hides.
        batch_norm: whether hidden layers are normalised over the batch.

    Raises:
        ConfigError: a number is out of range.

    Source: Cheng et al., Wide & deep learning for recommender systems (DLRS 2016).
    """

    hidden: Sequence[int] = (128, 64)
    dropout: float = 0.1
    batch_norm: bool = False
    first_order: ClassVar[bool] = True

    def __post_init__(self) -> None:
        as_widths(self, "hidden", at_least=1)
        check_dropout(self)

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        return Deep(perceptron(layout.total, self.hidden, dropout=self.dropout, batch_norm=self.batch_norm))


class Deep(nn.Module):
    """A perceptron over all fields side by side.

    Args:
        deep: the perceptron.
    """

    def __init__(self, deep: nn.Module) -> None:
        super().__init__()
        self.deep = deep

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields to `[n]`."""
        deep: Tensor = self.deep(side_by_side(fields))
        return deep.squeeze(1)
