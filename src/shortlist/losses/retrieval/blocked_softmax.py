"""Softmax cross-entropy in blocks of rows, so that the whole score matrix never exists.

PyTorch's form of `fused_softmax`, for every device and dtype: a block of rows stays in the cache, and the
backward pass recomputes it from the saved normaliser, which costs one more product and saves several passes
through memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shortlist.data.ragged import gather_windows
from shortlist.losses.retrieval.softmax_rules import Rules

# Scores of one block: 1 MiB of float32 lives in a core's own cache. A GPU wants few large launches.
_CPU_BLOCK_ELEMENTS = 1 << 18
_GPU_BLOCK_ELEMENTS = 1 << 26
_FEWEST_ROWS = 64


def blocked_softmax(queries: Tensor, candidates: Tensor, rules: Rules, *, masked_score: float) -> Tensor:
    """Cross-entropy of each query's own candidate among all candidates.

    Args:
        queries: `[batch, dim]` float32 or float64.
        candidates: `[num_candidates, dim]` of the same dtype.
        rules: of the scores.
        masked_score: the score of what does not count.

    Returns:
        `[batch]` losses in nats.
    """
    result: Tensor = _BlockedSoftmax.apply(queries, candidates, masked_score, *rules)  # type: ignore[no-untyped-call]
    return result


class _BlockedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, candidates: Tensor, masked_score: float, *rules: Tensor | None
    ) -> Tensor:
        given = Rules(*rules)  # type: ignore[arg-type]
        losses = queries.new_empty(len(queries))
        largest, total = torch.empty_like(losses), torch.empty_like(losses)
        for rows in _row_blocks(queries, len(candidates)):
            scores = _block_scores(queries, candidates, rows, given, masked_score)
            positives = scores.gather(1, given.positives[rows, None]).squeeze(1)
            largest[rows] = scores.amax(dim=1)
            total[rows] = scores.sub_(largest[rows, None]).exp_().sum(dim=1)
            losses[rows] = largest[rows] - positives + total[rows].log()
        # Their sum would be the log-normaliser, but at scores of 1e4 it would have lost the logarithm.
        ctx.save_for_backward(queries, candidates, largest, total, *rules)
        ctx.masked_score = masked_score
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_losses: Tensor) -> tuple[Tensor | None, ...]:
        queries, candidates, largest, total, *rules = ctx.saved_tensors
        given = Rules(*rules)
        grad_queries = torch.empty_like(queries)
        grad_candidates = torch.zeros_like(candidates)
        grad_bias = queries.new_zeros(len(candidates)) if ctx.needs_input_grad[4] else None
        grad_own = queries.new_empty(len(queries)) if ctx.needs_input_grad[5] else None
        for rows in _row_blocks(queries, len(candidates)):
            scores = _block_scores(queries, candidates, rows, given, ctx.masked_score)
            # d loss_i / d score_ij = softmax_ij - [j is i's positive]
            grad_scores = scores.sub_(largest[rows, None]).exp_()
            grad_scores.mul_((grad_losses[rows] / total[rows])[:, None])
            grad_scores.scatter_add_(1, given.positives[rows, None], -grad_losses[rows, None])
            torch.mm(grad_scores, candidates, out=grad_queries[rows])
            grad_candidates.addmm_(grad_scores.T, queries[rows])
            if grad_bias is not None:
                grad_bias += grad_scores.sum(0)
            if grad_own is not None:
                grad_own[rows] = grad_scores.gather(1, given.positives[rows, None]).squeeze(1)
        return grad_queries, grad_candidates, None, None, grad_bias, grad_own, *[None] * 4


def _row_blocks(queries: Tensor, num_candidates: int) -> list[slice]:
    elements = _GPU_BLOCK_ELEMENTS if queries.is_cuda else _CPU_BLOCK_ELEMENTS
    size = max(_FEWEST_ROWS, elements // max(num_candidates, 1))
    return [slice(start, min(start + size, len(queries))) for start in range(0, len(queries), size)]


def _block_scores(
    queries: Tensor, candidates: Tensor, rows: slice, rules: Rules, masked_score: float
) -> Tensor:
    # [rows, num_candidates]
    block, own = queries[rows], rules.positives[rows, None]
    scores = block @ candidates.T if rules.bias is None else torch.addmm(rules.bias, block, candidates.T)
    positives = scores.gather(1, own)
    if rules.own_bias is not None:
        positives += rules.own_bias[rows, None]
    if rules.by_id is not None and rules.run_starts is not None and rules.run_ends is not None:
        hits = gather_windows(
            rules.by_id, rules.run_starts[rows], rules.run_ends[rows] - rules.run_starts[rows]
        )
        scores[hits.row_ids(), hits.values] = masked_score
    if rules.score_mask is not None:
        scores.masked_fill_(~rules.score_mask[rows], masked_score)
    return scores.scatter_(1, own, positives)
