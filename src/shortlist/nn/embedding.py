"""A table with one row an index, and row 0 for the unknown."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Embedding(nn.Embedding):
    """Rows of weights by index; row 0, the unknown, is zero and stays so.

    Args:
        rows: number of indices, the unknown counted.
        dim: width of a row.
        scale: standard deviation of the initial weights; `dim ** -0.5` by default, which gives rows of
            length about 1 whatever their width.
    """

    def __init__(self, rows: int, dim: int, *, scale: float | None = None) -> None:
        self.scale = dim**-0.5 if scale is None else scale
        super().__init__(rows, dim, padding_idx=0)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        with torch.no_grad():
            self.weight.normal_(0, self.scale)
            self.weight[0] = 0


def pool_mean(table: nn.Embedding, values: Tensor, offsets: Tensor) -> Tensor:
    """The mean of some rows of a table for each bag; zero for an empty bag.

    Args:
        table: the embedding.
        values: `[total]` int64 row numbers; those that are 0 do not count.
        offsets: `[bags + 1]` int64.

    Returns:
        `[bags, dim]`.
    """
    return nn.functional.embedding_bag(
        values, table.weight, offsets, mode="mean", include_last_offset=True, padding_idx=0
    )
