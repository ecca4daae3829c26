"""Steps of the rows of an embedding table that a batch touched, by the native kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from shortlist import _native
from shortlist.kernels.checks import check_threads

_MOST = 1 << 32  # rows of a table, and ids of a step


@dataclass(frozen=True)
class Rule:
    """How a row follows its gradient.

    Args:
        kind: the method.
        learning_rate: factor of the step.
        eps: keeps the root from 0; under it, but for Adam.
        betas: Adam's rates of decay.
        step: the number of Adam's step, from 1.
    """

    kind: Literal["sgd", "adagrad", "rowwise_adagrad", "adam"]
    learning_rate: float
    eps: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    step: int = 1


def update_rows(
    weight: Tensor,
    state: tuple[Tensor, ...],
    ids: Tensor,
    gradients: Tensor,
    rule: Rule,
    *,
    threads: int | None = None,
) -> None:
    """Take one step for each row that is named, in place; the gradients of repeated rows are summed first.

    Args:
        weight: `[rows, dim]` float32 on the CPU, contiguous.
        state: of the rule, contiguous float32: nothing, `[rows, dim]` accumulators, `[rows, 1]` for
            `rowwise_adagrad`, or Adam's two `[rows, dim]` moments.
        ids: `[n]` int64 row numbers.
        gradients: `[n, dim]` float32.
        rule: how the rows follow.
        threads: to work with; PyTorch's number by default. The numbers do not depend on it.
    """
    first, second = (*state, None, None)[:2]
    beta1, beta2 = rule.betas
    _native.update_rows(
        weight.detach().numpy(),
        None if first is None else first.numpy(),
        None if second is None else second.numpy(),
        rule.kind,
        rule.learning_rate,
        rule.eps,
        beta1,
        beta2,
        1 - beta1**rule.step,
        1 - beta2**rule.step,
        ids.contiguous().numpy(),
        gradients.contiguous().numpy(),
        check_threads(threads),
    )


def with_large_pages(values: Tensor) -> Tensor:
    """Ask the system for large pages for a table, which makes its random rows about 1.6 times as quick.

    Args:
        values: into which nothing was written yet, since what has a page keeps it.

    Returns:
        The tensor itself.
    """
    if values.device.type == "cpu" and values.is_contiguous():
        _native.advise_huge_pages(values.data_ptr(), values.numel() * values.element_size())
    return values


def takes_rows(weight: Tensor, gradient: Tensor) -> bool:
    """Whether the kernels can step this table: float32 on the CPU, and a sparse gradient of whole rows.

    Args:
        weight: the table.
        gradient: its gradient.
    """
    return (
        gradient.is_sparse
        and gradient.sparse_dim() == 1
        and weight.ndim == 2
        and weight.device.type == "cpu"
        and weight.dtype == gradient.dtype == torch.float32
        and weight.is_contiguous()
        and len(weight) < _MOST
        and gradient._nnz() < _MOST
    )
