"""A table with one row an index, and row 0 for the unknown."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.kernels.tables import mean_factors, with_large_pages
from shortlist.nn.table_rows import sparse_rows, sparse_sums

_FUSED = (torch.float32, torch.bfloat16)  # dtypes of the tables whose bags are added up without their rows


class Embedding(nn.Embedding):
    """Rows of weights by index; row 0, the unknown, is zero and stays so.

    In bfloat16 a table takes half the memory. It gives float32 rows and takes float32 gradients, and the
    optimizers for tables round what they store up or down at random, so that small steps count on average
    (stochastic rounding).

    Args:
        rows: number of indices, the unknown counted.
        dim: width of a row.
        scale: standard deviation of the initial weights; `dim ** -0.5` by default, which gives rows of
            length about 1 whatever their width.
        sparse: whether the gradient names the rows of the batch and holds no others: for large tables,
            with an optimizer that steps such rows (`Adagrad`, `RowwiseAdagrad`, `LazyAdam`; for float32
            `torch.optim.SGD` without momentum does too).
        dtype: of the weights; PyTorch's default by default. `torch.bfloat16` needs `sparse`.

    Raises:
        ConfigError: a table in bfloat16 has dense gradients.

    Source: stochastic rounding, Gupta et al. (ICML 2015); of embedding tables, Zhang et al., Training with
    low-precision embedding tables (2018).
    """

    def __init__(
        self,
        rows: int,
        dim: int,
        *,
        scale: float | None = None,
        sparse: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        if dtype == torch.bfloat16 and not sparse:
            raise ConfigError(
                "a table in bfloat16 has dense gradients",
                where="Embedding",
                remedy="pass sparse=True, whose optimizers round at random",
            )
        self.scale, self.sparse = dim**-0.5 if scale is None else scale, sparse
        super().__init__(rows, dim, padding_idx=0, sparse=sparse, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """`[...]` int64 row numbers to `[..., dim]`."""
        return sparse_rows(self.weight, input) if self.sparse else super().forward(input)

    def pool_mean(self, values: Tensor, offsets: Tensor) -> Tensor:
        """The mean of some rows for each bag.

        Args:
            values: `[total]` int64 row numbers; those that are 0 do not count.
            offsets: `[bags + 1]` int64 where each bag starts, from 0 to `total`.

        Returns:
            `[bags, dim]`; zero for an empty bag.
        """
        return pool_mean(self, values, offsets)

    def pool_sum(self, values: Tensor, offsets: Tensor, weights: Tensor | None = None) -> Tensor:
        """The sum of some rows for each bag, weighted or not.

        Args:
            values: `[total]` int64 row numbers; those that are 0 do not count.
            offsets: `[bags + 1]` int64 where each bag starts, from 0 to `total`.
            weights: `[total]` of the rows, which may have gradients; None weighs all alike.

        Returns:
            `[bags, dim]`; zero for an empty bag.
        """
        return pool_sum(self, values, offsets, weights)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        with torch.no_grad():
            if self.sparse:
                with_large_pages(self.weight)
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
    if table.sparse and table.weight.dtype in _FUSED:
        return sparse_sums(table.weight, values, offsets, mean_factors(values, offsets))
    return nn.functional.embedding_bag(
        values,
        table.weight,
        offsets,
        mode="mean",
        include_last_offset=True,
        padding_idx=0,
        sparse=table.sparse,
    )


def pool_sum(table: nn.Embedding, values: Tensor, offsets: Tensor, weights: Tensor | None = None) -> Tensor:
    """The sum of some rows of a table for each bag, weighted or not; zero for an empty bag.

    Args:
        table: the embedding.
        values: `[total]` int64 row numbers; those that are 0 do not count.
        offsets: `[bags + 1]` int64.
        weights: `[total]` of the rows, which may have gradients; None weighs all alike.

    Returns:
        `[bags, dim]`.
    """
    if table.sparse and table.weight.dtype in _FUSED:
        return sparse_sums(table.weight, values, offsets, weights)
    return nn.functional.embedding_bag(
        values,
        table.weight,
        offsets,
        mode="sum",
        per_sample_weights=None if weights is None else weights.to(table.weight.dtype),
        include_last_offset=True,
        padding_idx=0,
        sparse=table.sparse,
    )
