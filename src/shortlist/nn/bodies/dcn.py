"""The deep and cross network: explicit crosses of all fields, and a perceptron after or beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, nn

from shortlist.errors import ConfigError, did_you_mean
from shortlist.nn.bodies.body import (
    Body,
    FieldLayout,
    as_widths,
    check_at_least,
    check_dropout,
    perceptron,
    side_by_side,
)
from shortlist.nn.cross import Cross
from shortlist.nn.cross_mixture import CrossMixture

Structure = Literal["stacked", "parallel"]


@dataclass(frozen=True)
class DCN(Body):
    """Crosses of all fields with what the crosses before made of them (DCN-v2), and a perceptron.

    Args:
        cross_layers: how many crosses; the last holds products of up to `cross_layers + 1` features.
        hidden: widths of the perceptron's hidden layers; none in parallel leaves the crosses alone.
        structure: `"stacked"` puts the perceptron after the crosses, `"parallel"` beside them.
        projection_dim: width between each cross's two thin kernels; None for full kernels.
        num_experts: how many low-rank kernels each cross mixes; more than one needs `projection_dim`.
        dropout: share of the hidden units that training hides.
        batch_norm: whether hidden layers are normalised over the batch.

    Raises:
        ConfigError: a number is out of range, the structure is unknown, or experts are full kernels.

    Source: Wang et al., DCN V2 (WWW 2021).
    """

    cross_layers: int = 2
    hidden: Sequence[int] = (64,)
    structure: Structure = "stacked"
    projection_dim: int | None = None
    num_experts: int = 1
    dropout: float = 0.1
    batch_norm: bool = False

    def __post_init__(self) -> None:
        as_widths(self, "hidden")
        check_at_least(self, 0, "cross_layers")
        check_at_least(self, 1, "projection_dim", "num_experts")
        check_dropout(self)
        if self.structure not in get_args(Structure):
            raise ConfigError(
                f"structure {self.structure!r} is unknown",
                where="DCN",
                remedy=did_you_mean(self.structure, get_args(Structure)),
            )
        if self.num_experts > 1 and self.projection_dim is None:
            raise ConfigError(
                f"num_experts is {self.num_experts}, but experts are low-rank kernels",
                where="DCN",
                remedy="set projection_dim too, such as 32",
            )

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        crosses = nn.ModuleList(self._cross(layout.total) for _ in range(self.cross_layers))
        deep = perceptron(layout.total, self.hidden, dropout=self.dropout, batch_norm=self.batch_norm)
        if self.structure == "stacked":
            return StackedCrosses(crosses, deep)
        head = nn.Linear(layout.total, 1, bias=not self.hidden)
        return ParallelCrosses(crosses, head, deep if self.hidden else None)

    def _cross(self, width: int) -> nn.Module:
        if self.num_experts > 1:
            assert self.projection_dim is not None
            return CrossMixture(width, projection_dim=self.projection_dim, num_experts=self.num_experts)
        return Cross(width, projection_dim=self.projection_dim)


class StackedCrosses(nn.Module):
    """Crosses, and a perceptron over the last one.

    Args:
        crosses: each takes the fields and the cross before.
        deep: the perceptron.
    """

    def __init__(self, crosses: nn.ModuleList, deep: nn.Module) -> None:
        super().__init__()
        self.crosses, self.deep = crosses, deep

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields to `[n]`."""
        base = side_by_side(fields)
        crossed = base
        for cross in self.crosses:
            crossed = cross(base, crossed)
        deep: Tensor = self.deep(crossed)
        return deep.squeeze(1)


class ParallelCrosses(nn.Module):
    """Crosses with a linear head, and a perceptron over the fields, added up.

    Args:
        crosses: each takes the fields and the cross before.
        head: from the last cross to one score.
        deep: the perceptron, or None.
    """

    def __init__(self, crosses: nn.ModuleList, head: nn.Linear, deep: nn.Module | None) -> None:
        super().__init__()
        self.crosses, self.head, self.deep = crosses, head, deep

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields to `[n]`."""
        base = side_by_side(fields)
        crossed = base
        for cross in self.crosses:
            crossed = cross(base, crossed)
        score: Tensor = self.head(crossed)
        if self.deep is not None:
            score = score + self.deep(base)
        return score.squeeze(1)
