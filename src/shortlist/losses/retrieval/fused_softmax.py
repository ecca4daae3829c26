"""Softmax cross-entropy with its gradients in one pass over tiles that never leave the cache.

At 4,096 queries the matrix of scores and its gradient are 64 MiB each: most of an eager step's time goes
into moving them. Where the weights of the losses are known beforehand, as in a mean, the forward pass
computes the gradients too, from the tile of scores that it has at hand: three products instead of four.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shortlist.errors import ConfigError
from shortlist.kernels.softmax import fastest_short_products, softmax_loss
from shortlist.losses.reduction import normalised_weights
from shortlist.losses.retrieval.blocked_softmax import blocked_softmax
from shortlist.losses.retrieval.softmax_rules import Rules

MASKED_SCORE = torch.finfo(torch.float32).min / 100
"""The score of a candidate that does not count: finite, so that `label * score` is never NaN."""

Precision = Literal["float32", "bfloat16"]


def fused_softmax(
    queries: Tensor,
    candidates: Tensor,
    rules: Rules,
    *,
    reduction: Literal["none", "mean"],
    sample_weight: Tensor | None,
    precision: Precision,
) -> Tensor:
    """Cross-entropy of each query's own candidate among all candidates.

    Args:
        queries: `[batch, dim]` float32 or float64.
        candidates: `[num_candidates, dim]` of the same dtype.
        rules: of the scores.
        reduction: whether the losses are averaged.
        sample_weight: `[batch]` for a weighted mean, or None.
        precision: of the products; see `in_batch_softmax`.

    Returns:
        `[batch]` losses in nats, or their mean.
    """
    products = fastest_short_products() if precision == "bfloat16" else ""
    if reduction == "none":
        return _losses(queries, candidates, rules, products)
    weights = normalised_weights(sample_weight, queries[:, 0])
    if not _native(queries) or weights.requires_grad:
        return (_losses(queries, candidates, rules, products) * weights).sum()
    result: Tensor = _WeightedLoss.apply(queries, candidates, weights, products, *rules)  # type: ignore[no-untyped-call]
    return result


def check_precision(precision: str) -> None:
    """Refuse a precision that the products don't have, with a ConfigError."""
    if precision not in ("float32", "bfloat16"):
        raise ConfigError(f"precision is {precision!r}", remedy="pass 'float32' or 'bfloat16'")


def _losses(queries: Tensor, candidates: Tensor, rules: Rules, products: str) -> Tensor:
    if not _native(queries):
        return blocked_softmax(queries, candidates, rules, masked_score=MASKED_SCORE)
    result: Tensor = _Losses.apply(queries, candidates, products, *rules)  # type: ignore[no-untyped-call]
    return result


def _native(queries: Tensor) -> bool:
    return queries.device.type == "cpu" and queries.dtype == torch.float32 and queries.numel() > 0


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, candidates: Tensor, products: str, *rules: Any) -> Tensor:
        ctx.save_for_backward(queries, candidates, *rules)
        ctx.products = products
        losses, _ = softmax_loss(queries, candidates, *rules, masked_score=MASKED_SCORE, products=products)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_losses: Tensor) -> tuple[Tensor | None, ...]:
        queries, candidates, *rules = ctx.saved_tensors
        _, gradients = softmax_loss(
            queries,
            candidates,
            *rules,
            masked_score=MASKED_SCORE,
            weights=grad_losses,
            learned=ctx.needs_input_grad[4:6],
            products=ctx.products,
        )
        assert gradients is not None
        return *gradients[:2], None, None, *gradients[2:], *[None] * 4


class _WeightedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, candidates: Tensor, weights: Tensor, products: str, *rules: Any
    ) -> Tensor:
        losses, gradients = softmax_loss(
            queries,
            candidates,
            *rules,
            masked_score=MASKED_SCORE,
            weights=weights if any(ctx.needs_input_grad) else None,
            learned=ctx.needs_input_grad[5:7],
            products=products,
        )
        if gradients is not None:
            ctx.save_for_backward(*gradients)
        return (losses * weights).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        scaled = [None if each is None else each * grad for each in ctx.saved_tensors]
        return *scaled[:2], None, None, None, *scaled[2:], *[None] * 4
