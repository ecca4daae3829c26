"""AutoInt: fields that attend to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.nn.bodies.body import (
    Body,
    FieldLayout,
    as_widths,
    check_at_least,
    check_dropout,
    perceptron,
    stack,
)
from shortlist.nn.field_attention import FieldAttention


@dataclass(frozen=True)
class AutoInt(Body):
    """Layers of self-attention among the fields; with `hidden`, a perceptron beside them (AutoInt+).

    Args:
        layers: how many attentions in a row.
        heads: how many attentions side by side.
        attention_dim: width of a field after each layer; a multiple of `heads`.
        hidden: widths of the perceptron's hidden layers; none leaves the attention alone.
        dropout: share of the perceptron's hidden units that training hides.
        batch_norm: whether its hidden layers are normalised over the batch.

    Raises:
        ConfigError: a number is out of range.

    Source: Song et al., AutoInt (CIKM 2019).
    """

    layers: int = 2
    heads: int = 2
    attention_dim: int = 32
    hidden: Sequence[int] = ()
    dropout: float = 0.1
    batch_norm: bool = False
    one_width: ClassVar[bool] = True

    def __post_init__(self) -> None:
        as_widths(self, "hidden")
        check_at_least(self, 1, "layers", "heads", "attention_dim")
        check_dropout(self)
        if self.attention_dim % self.heads:
            raise ConfigError(
                f"attention_dim is {self.attention_dim} and heads {self.heads}",
                where="AutoInt",
                remedy="make attention_dim a multiple of heads",
            )

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        widths = [layout.dim] + [self.attention_dim] * (self.layers - 1)
        attention = nn.Sequential(
            *(FieldAttention(width, self.attention_dim, heads=self.heads) for width in widths)
        )
        deep = perceptron(layout.total, self.hidden, dropout=self.dropout, batch_norm=self.batch_norm)
        head = nn.Linear(layout.count * self.attention_dim, 1)
        return AttentiveFields(attention, head, deep if self.hidden else None)


class AttentiveFields(nn.Module):
    """Self-attention among the fields with a linear head, and a perceptron.

    Args:
        attention: from the block of fields to another.
        head: from all attended fields to one score.
        deep: the perceptron, or None.
    """

    def __init__(self, attention: nn.Module, head: nn.Linear, deep: nn.Module | None) -> None:
        super().__init__()
        self.attention, self.head, self.deep = attention, head, deep

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields of one width to `[n]`."""
        block = stack(fields)
        score: Tensor = self.head(self.attention(block).flatten(1))
        if self.deep is not None:
            score = score + self.deep(block.flatten(1))
        return score.squeeze(1)
