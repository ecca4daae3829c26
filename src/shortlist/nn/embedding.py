"""A table with one row an index, and row 0 for the unknown."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from shortlist.kernels.tables import with_large_pages


class Embedding(nn.Embedding):
    """Rows of weights by index; row 0, the unknown, is zero and stays so.

    Args:
        rows: number of indices, the unknown counted.
        dim: width of a row.
        scale: standard deviation of the initial weights; `dim ** -0.5` by default, which gives rows of
            length about 1 whatever their width.
        sparse: whether the gradient names the rows of the batch and holds no others: for large tables,
            with an optimizer that steps such rows (`Adagrad`, `RowwiseAdagrad`, `LazyAdam`).
    """

    def __init__(self, rows: int, dim: int, *, scale: float | None = None, sparse: bool = False) -> None:
        self.scale, self.sparse = dim**-0.5 if scale is None else scale, sparse
        super().__init__(rows, dim, padding_idx=0, sparse=sparse)

    def forward(self, input: Tensor) -> Tensor:
        """`[...]` int64 row numbers to `[..., dim]`."""
        if self.sparse and torch.is_grad_enabled():
            return _SparseRows.apply(self.weight, input)  # type: ignore[no-untyped-call, no-any-return]
        return super().forward(input)

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
    return nn.functional.embedding_bag(
        values,
        table.weight,
        offsets,
        mode="mean",
        include_last_offset=True,
        padding_idx=0,
        sparse=table.sparse,
    )


class _SparseRows(torch.autograd.Function):
    """Rows of a table; unlike PyTorch's own, the backward pass copies nothing where no row is the unknown."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = weight.shape
        return weight.index_select(0, rows.reshape(-1)).reshape(*rows.shape, weight.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        rows, values = rows.reshape(-1), grad.reshape(-1, ctx.shape[1])
        known = rows != 0
        if not bool(known.all()):
            rows, values = rows[known], values[known]
        gradient = torch.sparse_coo_tensor(rows[None], values, ctx.shape, check_invariants=False)
        return gradient, None
