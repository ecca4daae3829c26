"""Softmax cross-entropy over many candidates, and its gradients, by the native kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist import _native
from shortlist.kernels.checks import check_threads


class Gradients(NamedTuple):
    """Of a weighted sum of losses.

    Args:
        queries: `[batch, dim]` float32.
        candidates: `[num_candidates, dim]` float32.
        bias: `[num_candidates]` float32, or None where not asked for.
        own_bias: `[batch]` float32, or None where not asked for.
    """

    queries: Tensor
    candidates: Tensor
    bias: Tensor | None
    own_bias: Tensor | None


def softmax_loss(
    queries: Tensor,
    candidates: Tensor,
    positives: Tensor,
    bias: Tensor | None,
    own_bias: Tensor | None,
    mask: Tensor | None,
    by_id: Tensor | None,
    run_starts: Tensor | None,
    run_ends: Tensor | None,
    *,
    masked_score: float,
    weights: Tensor | None = None,
    learned: tuple[bool, bool] = (False, False),
    products: str = "",
    threads: int | None = None,
) -> tuple[Tensor, Gradients | None]:
    """Cross-entropy of each query's own candidate among all, without the matrix of their scores.

    Args:
        queries: `[batch, dim]` float32 on the CPU, batch at least 1.
        candidates: `[num_candidates, dim]` float32.
        positives: `[batch]` int64, the row of each query's own candidate.
        bias: `[num_candidates]` float32 added to every query's scores.
        own_bias: `[batch]` float32 added to the positive's score.
        mask: `[batch, num_candidates]` bool, True where a candidate counts; the positive always does.
        by_id: `[num_candidates]` int64, rows of candidates; those from `run_starts[i]` to `run_ends[i]` do
            not count for query i.
        run_starts: `[batch]` int64.
        run_ends: `[batch]` int64.
        masked_score: the score of what does not count.
        weights: `[batch]` float32; asks for the gradients of the weighted sum of the losses.
        learned: whether `bias` and `own_bias` want a gradient too.
        products: "avx512bf16" or "avx512fp16" for products of 16 bits, where the processor has them.
        threads: to work with; PyTorch's number by default.

    Returns:
        `[batch]` losses in nats, and the gradients where asked for.
    """
    losses = torch.empty(len(queries))
    gradients = None
    if weights is not None:
        gradients = Gradients(
            torch.empty(queries.shape),
            torch.empty(candidates.shape),
            torch.empty(len(candidates)) if learned[0] else None,
            torch.empty(len(queries)) if learned[1] else None,
        )
    _native.softmax_loss(
        _array(queries),
        _array(candidates),
        _array(positives),
        _given(bias),
        _given(own_bias),
        masked_score,
        _given(mask),
        _given(by_id),
        _given(run_starts),
        _given(run_ends),
        _given(weights),
        products,
        check_threads(threads),
        losses.numpy(),
        *(
            (None,) * 4
            if gradients is None
            else (None if each is None else each.numpy() for each in gradients)
        ),
    )
    return losses, gradients


def fastest_short_products() -> str:
    """What `products` is fastest here; "" where none of 16 bits is faster than float32."""
    return _native.fastest_short_products()


def _array(values: Tensor) -> NDArray[np.generic]:
    return values.detach().contiguous().numpy()


def _given(values: Tensor | None) -> NDArray[np.generic] | None:
    return None if values is None else _array(values)
