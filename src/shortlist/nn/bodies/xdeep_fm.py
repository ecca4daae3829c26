"""xDeepFM: explicit products of several fields, vector by vector, beside a perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from shortlist.nn.bodies.body import Body, FieldLayout, as_widths, check_dropout, perceptron, stack
from shortlist.nn.compressed_interaction import CompressedInteraction


@dataclass(frozen=True)
class XDeepFM(Body):
    """First-order weights, a compressed interaction network (CIN) and a perceptron, added up.

    Args:
        maps: how many vectors each layer of the CIN keeps; layer k holds products of `k + 2` fields.
        hidden: widths of the perceptron's hidden layers; none leaves the CIN alone.
        dropout: share of the perceptron's hidden units that training hides.
        batch_norm: whether its hidden layers are normalised over the batch.

    Raises:
        ConfigError: a number is out of range.

    Source: Lian et al., xDeepFM (KDD 2018).
    """

    maps: Sequence[int] = (16, 16)
    hidden: Sequence[int] = (128, 64)
    dropout: float = 0.1
    batch_norm: bool = False
    one_width: ClassVar[bool] = True
    first_order: ClassVar[bool] = True

    def __post_init__(self) -> None:
        as_widths(self, "maps", at_least=1)
        as_widths(self, "hidden")
        check_dropout(self)

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        deep = perceptron(layout.total, self.hidden, dropout=self.dropout, batch_norm=self.batch_norm)
        return InteractionNetwork(
            CompressedInteraction(layout.count, self.maps), deep if self.hidden else None
        )


class InteractionNetwork(nn.Module):
    """A compressed interaction network with a linear head, and a perceptron.

    Args:
        interaction: the network over the block of fields.
        deep: the perceptron, or None.
    """

    def __init__(self, interaction: CompressedInteraction, deep: nn.Module | None) -> None:
        super().__init__()
        self.interaction, self.deep = interaction, deep
        self.head = nn.Linear(interaction.out_features, 1)

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields of one width to `[n]`."""
        block = stack(fields)
        score: Tensor = self.head(self.interaction(block))
        if self.deep is not None:
            score = score + self.deep(block.flatten(1))
        return score.squeeze(1)
