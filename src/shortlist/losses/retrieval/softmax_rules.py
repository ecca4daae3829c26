"""What changes the plain scores of an in-batch softmax: corrections, repeats, and what does not count.

An item that stands in the batch n times adds n equal terms to every other query's sum: one score, raised by
log n, does for all of them. Popular items fill batches, so far fewer columns are left.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rules(NamedTuple):
    """Constants of a batch; no gradient flows into them.

    Args:
        positives: `[batch]` the column of each query's own candidate.
        bias: `[num_candidates]` added to every query's scores, or None.
        own_bias: `[batch]` added to the positive's score, or None.
        score_mask: `[batch, num_candidates]` bool, True where a negative counts, or None.
        by_id: `[num_candidates]` candidates sorted by id, or None where ids do not matter.
        run_starts: `[batch]` where the run of query i's own id starts in `by_id`.
        run_ends: `[batch]` where it ends.
    """

    positives: Tensor
    bias: Tensor | None
    own_bias: Tensor | None
    score_mask: Tensor | None
    by_id: Tensor | None
    run_starts: Tensor | None
    run_ends: Tensor | None


def rules_of(
    batch: int,
    candidates: Tensor,
    *,
    bias: Tensor | None,
    candidate_ids: Tensor | None,
    score_mask: Tensor | None,
    one_embedding_per_id: bool,
) -> tuple[Tensor, Rules]:
    """The candidates to score, and the rules of the scores.

    Args:
        batch: how many queries; query i's own candidate is row i.
        candidates: `[num_candidates, dim]`.
        bias: `[num_candidates]` added to every query's scores.
        candidate_ids: `[num_candidates]` integers; negatives with the positive's id do not count.
        score_mask: `[batch, num_candidates]` bool, True where a negative counts.
        one_embedding_per_id: whether candidates of one id are all alike, their bias and mask too: then one
            row of each is scored.
    """
    device = candidates.device
    positives = torch.arange(batch, device=device)
    if candidate_ids is None:
        return candidates, Rules(positives, bias, None, score_mask, None, None, None)
    if one_embedding_per_id:
        return _distinct(candidates, candidate_ids, batch, bias, score_mask)
    # Equal ids are neighbours once sorted, so finding the hits costs a sort and not batch² compares.
    ids, by_id = candidate_ids.sort()
    own = candidate_ids[:batch].contiguous()
    starts, ends = torch.searchsorted(ids, own), torch.searchsorted(ids, own, right=True)
    return candidates, Rules(positives, bias, None, score_mask, by_id, starts, ends)


def _distinct(
    candidates: Tensor, ids: Tensor, batch: int, bias: Tensor | None, score_mask: Tensor | None
) -> tuple[Tensor, Rules]:
    distinct, column, counts = torch.unique(ids, return_inverse=True, return_counts=True)
    first = torch.empty_like(distinct, dtype=torch.int64)
    # Any row of an id will do, but always the same one: which of several writes wins is not defined.
    first.fill_(len(ids)).scatter_reduce_(0, column, torch.arange(len(ids), device=ids.device), "amin")
    raised = counts.to(candidates.dtype).log()
    positives = column[:batch]
    own_bias = -raised[positives]
    total = raised if bias is None else bias[first] + raised
    mask = None if score_mask is None else score_mask[:, first]
    return candidates[first], Rules(positives, total, own_bias, mask, None, None, None)
