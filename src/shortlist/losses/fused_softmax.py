"""In-batch softmax cross-entropy with its gradients in one pass over tiles that never leave the cache.

At 4,096 queries the matrix of scores and its gradient are 64 MiB each: most of an eager step's time goes
into moving them. Where the weights of the losses are known beforehand, as in a mean, the forward pass
computes the gradients too, from the tile of scores that it has at hand: three products instead of four.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shortlist.kernels.softmax import softmax_loss
from shortlist.losses.blocked_softmax import blocked_softmax
from shortlist.losses.softmax_rules import Rules


def softmax_losses(queries: Tensor, candidates: Tensor, rules: Rules, *, masked_score: float) -> Tensor:
    """Cross-entropy of each query's own candidate among all candidates.

    Args:
        queries: `[batch, dim]` float32 or float64.
        candidates: `[num_candidates, dim]` of the same dtype.
        rules: of the scores.
        masked_score: the score of what does not count.

    Returns:
        `[batch]` losses in nats.
    """
    if not _native(queries):
        return blocked_softmax(queries, candidates, rules, masked_score=masked_score)
    result: Tensor = _Losses.apply(queries, candidates, masked_score, *rules)  # type: ignore[no-untyped-call]
    return result


def weighted_softmax_loss(
    queries: Tensor, candidates: Tensor, rules: Rules, *, masked_score: float, weights: Tensor
) -> Tensor:
    """The sum of the weighted losses.

    Args:
        queries: `[batch, dim]` float32 or float64.
        candidates: `[num_candidates, dim]` of the same dtype.
        rules: of the scores.
        masked_score: the score of what does not count.
        weights: `[batch]`.

    Returns:
        Scalar.
    """
    if not _native(queries) or weights.requires_grad:
        return (softmax_losses(queries, candidates, rules, masked_score=masked_score) * weights).sum()
    result: Tensor = _WeightedLoss.apply(queries, candidates, weights, masked_score, *rules)  # type: ignore[no-untyped-call]
    return result


def _native(queries: Tensor) -> bool:
    return queries.device.type == "cpu" and queries.dtype == torch.float32 and queries.numel() > 0


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, candidates: Tensor, masked_score: float, *rules: Any) -> Tensor:
        ctx.save_for_backward(queries, candidates, *rules)
        ctx.masked_score = masked_score
        losses, _ = softmax_loss(queries, candidates, *rules, masked_score=masked_score)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_losses: Tensor) -> tuple[Tensor | None, ...]:
        queries, candidates, *rules = ctx.saved_tensors
        _, gradients = softmax_loss(
            queries, candidates, *rules, masked_score=ctx.masked_score, weights=grad_losses
        )
        assert gradients is not None
        return *gradients, None, *[None] * len(rules)


class _WeightedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        candidates: Tensor,
        weights: Tensor,
        masked_score: float,
        *rules: Any,
    ) -> Tensor:
        wanted = weights if any(ctx.needs_input_grad[:2]) else None
        losses, gradients = softmax_loss(
            queries, candidates, *rules, masked_score=masked_score, weights=wanted
        )
        if gradients is not None:
            ctx.save_for_backward(*gradients)
        ctx.rules = len(rules)
        return (losses * weights).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        queries, candidates = ctx.saved_tensors
        return queries * grad, candidates * grad, None, None, *[None] * ctx.rules
