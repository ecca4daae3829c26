"""Gradient clipping that knows sparse gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients together so that their Euclidean norm is at most `max_norm`, in place.

    Unlike `torch.nn.utils.clip_grad_norm_` it takes sparse gradients (`nn.Embedding(sparse=True)`)
    too. Those are coalesced first, since a row that occurs twice counts with its sum.

    Args:
        parameters: those without a gradient are skipped.
        max_norm: the largest norm to let through; positive.

    Returns:
        Scalar norm before clipping. When it is not finite the gradients are not either.
    """
    values = []  # the dense storage of each gradient
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            values.append(parameter.grad._values())
        else:
            values.append(parameter.grad)
    norm = torch.nn.utils.get_total_norm(values)
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)  # no branch on its value: that would wait for a GPU
    for value in values:
        value.mul_(scale.to(value.device))
    return norm
