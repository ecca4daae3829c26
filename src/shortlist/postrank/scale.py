"""Scores on a common scale, and lists sorted by a new score."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates


def unit_scores(candidates: Candidates) -> Tensor:
    """Bring each request's scores to [0, 1], so that one setting suits every ranker.

    `(score - lowest) / (highest - lowest)` within the request; 1 for all where all scores are equal. The
    worst candidate therefore has 0, whatever the ranker's scale is.

    Returns:
        `[total]` float64.
    """
    scores, rows = candidates.scores.double(), candidates.row_ids()
    lowest = scores.new_full((len(candidates),), torch.inf).scatter_reduce_(0, rows, scores, "amin")
    highest = scores.new_full((len(candidates),), -torch.inf).scatter_reduce_(0, rows, scores, "amax")
    spread = (highest - lowest)[rows]
    return torch.where(spread > 0, (scores - lowest[rows]) / spread.clamp(min=1e-300), 1.0)


def rescored(candidates: Candidates, utility: Tensor, **features: Tensor) -> Candidates:
    """Give new scores and sort by them; equal scores keep the order they came in.

    The sort looks at double precision, so a neutral rescoring keeps the order even where single precision
    no longer tells two scores apart.

    Args:
        candidates: the lists.
        utility: `[total]` float64 new scores.
        **features: columns to add, `[total]` each.
    """
    order = torch.argsort(utility, descending=True, stable=True)
    order = order[torch.argsort(candidates.row_ids()[order], stable=True)]
    return candidates.with_scores(utility.float(), **features).take(order, candidates.lengths)
