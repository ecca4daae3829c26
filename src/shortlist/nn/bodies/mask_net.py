"""MaskNet: hidden layers whose inputs are multiplied by masks that the fields give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

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

Structure = Literal["serial", "parallel"]


@dataclass(frozen=True)
class MaskNet(Body):
    """Blocks of mask, linear layer, layer norm and ReLU; every mask looks at all the fields.

    Args:
        structure: `"serial"` puts block after block, `"parallel"` lets `blocks` of them see the fields and a
            perceptron mix what they find.
        hidden: in series, the width of each block; in parallel, of the perceptron's hidden layers.
        blocks: how many blocks stand side by side in parallel.
        block_dim: width of each of these.
        reduction: the masks' hidden layers are this many times as wide as the masks.
        dropout: share of the hidden units that training hides.

    Raises:
        ConfigError: a number is out of range, or the structure is unknown.

    Source: Wang et al., MaskNet (DLP-KDD 2021).
    """

    structure: Structure = "serial"
    hidden: Sequence[int] = (128, 64)
    blocks: int = 3
    block_dim: int = 64
    reduction: float = 1.0
    dropout: float = 0.1
    one_width: ClassVar[bool] = True

    def __post_init__(self) -> None:
        as_widths(self, "hidden", at_least=1)
        check_at_least(self, 1, "blocks", "block_dim")
        check_dropout(self)
        if not self.reduction > 0:
            raise ConfigError(
                f"reduction is {self.reduction}", where="MaskNet", remedy="give a positive number, such as 1"
            )
        if self.structure not in get_args(Structure):
            raise ConfigError(
                f"structure {self.structure!r} is unknown",
                where="MaskNet",
                remedy=did_you_mean(self.structure, get_args(Structure)),
            )

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        width = layout.total
        norms = nn.ModuleList(nn.LayerNorm(layout.dim) for _ in range(layout.count))
        if self.structure == "serial":
            widths = (width, *self.hidden)
            blocks = [self._block(width, *pair) for pair in zip(widths, self.hidden, strict=False)]
            return SerialMasks(norms, nn.ModuleList(blocks), nn.Linear(self.hidden[-1], 1))
        blocks = [self._block(width, width, self.block_dim) for _ in range(self.blocks)]
        deep = perceptron(self.blocks * self.block_dim, self.hidden, dropout=self.dropout, batch_norm=False)
        return ParallelMasks(norms, nn.ModuleList(blocks), deep)

    def _block(self, width: int, before: int, after: int) -> MaskBlock:
        return MaskBlock(width, before, after, reduction=self.reduction, dropout=self.dropout)


class MaskBlock(nn.Module):
    """A mask over the input, found from all fields; then a linear layer, layer norm, ReLU and dropout.

    Args:
        width: of all fields side by side.
        before: width of the input.
        after: width of the output.
        reduction: the mask's hidden layer is this many times as wide as the mask.
        dropout: share of the output that training hides.
    """

    def __init__(self, width: int, before: int, after: int, *, reduction: float, dropout: float) -> None:
        super().__init__()
        between = max(1, round(before * reduction))
        self.mask = nn.Sequential(nn.Linear(width, between), nn.ReLU(), nn.Linear(between, before))
        self.linear = nn.Linear(before, after, bias=False)
        self.norm = nn.LayerNorm(after)
        self.dropout = nn.Dropout(dropout)

    def forward(self, fields: Tensor, inputs: Tensor) -> Tensor:
        """`[n, width]` fields and `[n, before]` inputs to `[n, after]`."""
        hidden = self.linear(self.mask(fields) * inputs)
        return self.dropout(nn.functional.relu(self.norm(hidden)))  # type: ignore[no-any-return]


class SerialMasks(nn.Module):
    """Block after block, from the normalised fields to one score.

    Args:
        norms: of each field.
        blocks: in their order.
        head: from the last block to the score.
    """

    def __init__(self, norms: nn.ModuleList, blocks: nn.ModuleList, head: nn.Linear) -> None:
        super().__init__()
        self.norms, self.blocks, self.head = norms, blocks, head

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields of one width to `[n]`."""
        base, hidden = side_by_side(fields), _normalised(self.norms, fields)
        for block in self.blocks:
            hidden = block(base, hidden)
        score: Tensor = self.head(hidden)
        return score.squeeze(1)


class ParallelMasks(nn.Module):
    """Blocks side by side over the normalised fields, and a perceptron over what they find.

    Args:
        norms: of each field.
        blocks: the blocks.
        deep: the perceptron.
    """

    def __init__(self, norms: nn.ModuleList, blocks: nn.ModuleList, deep: nn.Module) -> None:
        super().__init__()
        self.norms, self.blocks, self.deep = norms, blocks, deep

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields of one width to `[n]`."""
        base, normalised = side_by_side(fields), _normalised(self.norms, fields)
        score: Tensor = self.deep(side_by_side([block(base, normalised) for block in self.blocks]))
        return score.squeeze(1)


def _normalised(norms: nn.ModuleList, fields: Sequence[Tensor]) -> Tensor:
    return side_by_side([norm(field) for norm, field in zip(norms, fields, strict=True)])
