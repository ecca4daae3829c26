"""Rows by id in training, and their gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shortlist.kernels.dynamic import RowTable


class RowsById(torch.autograd.Function):
    """Rows by id; the gradient is a sparse tensor whose indices are the ids."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, table: RowTable) -> Tensor:
        """`[...]` ids to `[..., dim]`."""
        ctx.save_for_backward(ids)
        ctx.shape, ctx.device = weight.shape, weight.device
        rows = table.look_up(ids.reshape(-1), training=True)
        return rows.reshape(*ids.shape, weight.shape[1]).to(ids.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of the parameter that stands for the table."""
        (ids,) = ctx.saved_tensors
        indices = ids.reshape(1, -1).to(ctx.device)
        values = grad.reshape(-1, ctx.shape[1]).to(ctx.device)
        # Ids are no positions, so they may be negative or beyond the nominal size.
        return torch.sparse_coo_tensor(indices, values, ctx.shape, check_invariants=False), None, None
