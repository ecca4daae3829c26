"""In-batch softmax cross-entropy in blocks of rows, so that the whole score matrix never exists.

At 4,096 queries the matrix of scores and its gradient are 64 MiB each: most of an eager step's time goes
into moving them. A block of rows stays in the cache, and the backward pass recomputes it from the saved
normaliser, which costs one more product and saves several passes through memory.

An item that stands in the batch n times adds n equal terms to every other query's sum: one score, raised by
log n, does for all of them. Popular items fill batches, so far fewer columns are left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shortlist.data.ragged import gather_windows

# Scores of one block: 1 MiB of float32 lives in a core's own cache. A GPU wants few large launches.
_CPU_BLOCK_ELEMENTS = 1 << 18
_GPU_BLOCK_ELEMENTS = 1 << 26
_FEWEST_ROWS = 64


class _Rules(NamedTuple):
    """What changes the plain inner products; constants, no gradient flows into them."""

    positives: Tensor  # [batch] the column of each query's own candidate
    bias: Tensor | None  # [num_candidates], added to every row
    own_bias: Tensor | None  # [batch], added to the positive's score
    score_mask: Tensor | None  # [batch, num_candidates] bool
    by_id: Tensor | None  # [num_candidates] candidates sorted by id
    run_starts: Tensor | None  # [batch] where the run of query i's own id starts in by_id
    run_lengths: Tensor | None  # [batch]


def blocked_softmax(
    queries: Tensor,
    candidates: Tensor,
    *,
    bias: Tensor | None,
    candidate_ids: Tensor | None,
    score_mask: Tensor | None,
    masked_score: float,
    one_embedding_per_id: bool,
) -> Tensor:
    """Cross-entropy of candidate i for query i among all candidates.

    Args:
        queries: `[batch, dim]` float32 or float64.
        candidates: `[num_candidates, dim]` of the same dtype, `num_candidates >= batch`.
        bias: `[num_candidates]` added to every query's scores; a constant, no gradient flows into it.
        candidate_ids: `[num_candidates]` integers; negatives with the positive's id do not count.
        score_mask: `[batch, num_candidates]` bool, True where a negative counts.
        masked_score: the score of what does not count.
        one_embedding_per_id: whether candidates of one id are all alike, their bias and mask too.

    Returns:
        `[batch]` losses in nats.
    """
    if candidate_ids is None:
        positives = torch.arange(len(queries), device=queries.device)
        rules = _Rules(positives, bias, None, score_mask, None, None, None)
    elif one_embedding_per_id:
        first, rules = _distinct_rules(candidate_ids, len(queries), bias, score_mask, queries.dtype)
        candidates = candidates[first]
    else:
        # Equal ids are neighbours once sorted, so finding the hits costs a sort and not batch² compares.
        ids, by_id = candidate_ids.sort()
        own = candidate_ids[: len(queries)].contiguous()
        starts = torch.searchsorted(ids, own)
        lengths = torch.searchsorted(ids, own, right=True) - starts
        positives = torch.arange(len(queries), device=queries.device)
        rules = _Rules(positives, bias, None, score_mask, by_id, starts, lengths)
    result: Tensor = _BlockedSoftmax.apply(queries, candidates, masked_score, *rules)  # type: ignore[no-untyped-call]
    return result


def _distinct_rules(
    ids: Tensor, batch: int, bias: Tensor | None, score_mask: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor, _Rules]:
    # A row of candidates for each distinct id, and the rules for a product with these alone.
    distinct, column, counts = torch.unique(ids, return_inverse=True, return_counts=True)
    first = torch.empty_like(distinct, dtype=torch.int64)
    # Any row of an id will do, but always the same one: which of several writes wins is not defined.
    first.fill_(len(ids)).scatter_reduce_(0, column, torch.arange(len(ids), device=ids.device), "amin")
    raised = counts.to(dtype).log()
    positives = column[:batch]
    own_bias = -raised[positives]
    total = raised if bias is None else bias[first] + raised
    mask = None if score_mask is None else score_mask[:, first]
    return first, _Rules(positives, total, own_bias, mask, None, None, None)


class _BlockedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, candidates: Tensor, masked_score: float, *rules: Tensor | None
    ) -> Tensor:
        given = _Rules(*rules)  # type: ignore[arg-type]
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
        given = _Rules(*rules)
        grad_queries = torch.empty_like(queries)
        grad_candidates = torch.zeros_like(candidates)
        for rows in _row_blocks(queries, len(candidates)):
            scores = _block_scores(queries, candidates, rows, given, ctx.masked_score)
            # d loss_i / d score_ij = softmax_ij - [j is i's positive]
            grad_scores = scores.sub_(largest[rows, None]).exp_()
            grad_scores.mul_((grad_losses[rows] / total[rows])[:, None])
            grad_scores.scatter_add_(1, given.positives[rows, None], -grad_losses[rows, None])
            torch.mm(grad_scores, candidates, out=grad_queries[rows])
            grad_candidates.addmm_(grad_scores.T, queries[rows])
        return grad_queries, grad_candidates, None, *[None] * len(rules)


def _row_blocks(queries: Tensor, num_candidates: int) -> list[slice]:
    elements = _GPU_BLOCK_ELEMENTS if queries.is_cuda else _CPU_BLOCK_ELEMENTS
    size = max(_FEWEST_ROWS, elements // max(num_candidates, 1))
    return [slice(start, min(start + size, len(queries))) for start in range(0, len(queries), size)]


def _block_scores(
    queries: Tensor, candidates: Tensor, rows: slice, rules: _Rules, masked_score: float
) -> Tensor:
    # [rows, num_candidates]
    block, own = queries[rows], rules.positives[rows, None]
    scores = block @ candidates.T if rules.bias is None else torch.addmm(rules.bias, block, candidates.T)
    positives = scores.gather(1, own)
    if rules.own_bias is not None:
        positives += rules.own_bias[rows, None]
    if rules.by_id is not None and rules.run_starts is not None and rules.run_lengths is not None:
        hits = gather_windows(rules.by_id, rules.run_starts[rows], rules.run_lengths[rows])
        scores[hits.row_ids(), hits.values] = masked_score
    if rules.score_mask is not None:
        scores.masked_fill_(~rules.score_mask[rows], masked_score)
    return scores.scatter_(1, own, positives)
