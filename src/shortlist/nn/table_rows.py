"""Rows of tables with sparse gradients, alone and in bags: autograd around the native kernels.

A table in bfloat16 gives float32 rows and takes float32 gradients, since its optimizers round at the end.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shortlist.kernels.bag_gradient import BagGradient, Bags
from shortlist.kernels.tables import factor_gradients, gather_rows, pool_rows


def sparse_rows(weight: Tensor, ids: Tensor) -> Tensor:
    """Rows of a table whose gradient names the ids and holds no other rows.

    Args:
        weight: `[rows, dim]`, of which row 0 is the unknown and has no gradient.
        ids: `[...]` int64.

    Returns:
        `[..., dim]`; float32 where the table is bfloat16.
    """
    _take_wide_gradients(weight)
    rows: Tensor = _Rows.apply(weight, ids.reshape(-1))  # type: ignore[no-untyped-call]
    return rows.reshape(*ids.shape, weight.shape[1])


def sparse_sums(weight: Tensor, ids: Tensor, offsets: Tensor, factors: Tensor | None = None) -> Tensor:
    """Sums of rows of a table in bags; neither the rows nor their gradients are written out.

    Args:
        weight: `[rows, dim]`.
        ids: `[total]` int64; those that are 0 do not count.
        offsets: `[bags + 1]` int64.
        factors: `[total]` of the rows, which have gradients too; None for ones.

    Returns:
        `[bags, dim]`; float32 where the table is bfloat16.
    """
    _take_wide_gradients(weight)
    if factors is not None:
        factors = factors.float()
    return _Sums.apply(weight, ids, offsets.contiguous(), factors)  # type: ignore[no-untyped-call, no-any-return]


def _take_wide_gradients(weight: Tensor) -> None:
    if weight.dtype == torch.bfloat16 and weight.requires_grad and weight.is_leaf:
        weight.grad_dtype = torch.float32


class _Rows(torch.autograd.Function):
    """Unlike PyTorch's own, the backward pass copies nothing where no row is the unknown."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.shape = weight.shape
        return gather_rows(weight, ids)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (ids,) = ctx.saved_tensors
        known = ids != 0
        if not bool(known.all()):
            ids, grad = ids[known], grad[known]
        return torch.sparse_coo_tensor(ids[None], grad, ctx.shape, check_invariants=False), None


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, offsets: Tensor, factors: Tensor | None) -> Tensor:
        weighted = factors is not None and ctx.needs_input_grad[3]
        ctx.save_for_backward(ids, offsets, factors, weight if weighted else None)
        ctx.shape = weight.shape
        return pool_rows(weight, ids, Bags(offsets, factors))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        ids, offsets, factors, weight = ctx.saved_tensors
        bags, grad = Bags(offsets, factors), grad.contiguous()
        of_weight = BagGradient(ctx.shape, ids, bags, grad) if ctx.needs_input_grad[0] else None
        of_factors = None if weight is None else factor_gradients(weight, ids, bags, grad)
        return of_weight, None, None, of_factors
