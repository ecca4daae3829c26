"""The rank of one column among all, and what it is worth when ties are broken at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

# Float32 counts exactly up to here.
_EXACT_COUNT = 1 << 24


class TiedRanks(NamedTuple):
    """Where the true candidate of each row stands."""

    above: Tensor  # [rows] int64 candidates that score higher
    tied: Tensor  # [rows] int64 other candidates that score the same
    found: Tensor  # [rows] bool, False where the true candidate can't be recommended at all


def rank_columns(scores: Tensor, columns: Tensor, excluded: tuple[Tensor, Tensor] | None) -> TiedRanks:
    """Rank one column of each row among all the row's columns.

    Args:
        scores: `[rows, columns]` finite float; overwritten where excluded.
        columns: `[rows]` int64 the column to rank; -1 where there is none.
        excluded: `(row, column)` int64 pairs that the ranking leaves out, repeats allowed; None for none.

    Returns:
        The ranks. `found` is False where the column is -1 or excluded.
    """
    if scores.shape[1] == 0:
        nothing = torch.zeros_like(columns)
        return TiedRanks(nothing, nothing, torch.zeros_like(columns, dtype=torch.bool))
    at = columns.clamp(min=0)[:, None]
    own = scores.gather(1, at)
    ranks = rank_scores(scores, own, excluded)
    found = (columns >= 0) & (scores.gather(1, at) > -torch.inf).squeeze(1)
    return ranks._replace(found=found)


def rank_scores(scores: Tensor, own: Tensor, excluded: tuple[Tensor, Tensor] | None) -> TiedRanks:
    """Rank a score of each row among all the row's columns.

    Args:
        scores: `[rows, columns]` finite float; overwritten where excluded.
        own: `[rows, 1]` the score to rank; one of the columns that equal it, if any, is taken to be its own.
        excluded: `(row, column)` int64 pairs that the ranking leaves out, repeats allowed; None for none.

    Returns:
        The ranks, all found.
    """
    if excluded is not None:
        scores[excluded] = -torch.inf
    # Comparing into floats and adding those up is three times as fast as adding up booleans.
    exact = torch.float32 if scores.shape[1] < _EXACT_COUNT else torch.float64
    verdicts = torch.empty(scores.shape, dtype=exact, device=scores.device)
    above = torch.gt(scores, own, out=verdicts).sum(dim=1).long()
    tied = torch.eq(scores, own, out=verdicts).sum(dim=1).long() - 1
    return TiedRanks(above, tied.clamp(min=0), torch.ones_like(above, dtype=torch.bool))


def expected_hit_rates(ranks: TiedRanks, ks: Sequence[int]) -> Tensor:
    """The chance that the true candidate is among the first k.

    Args:
        ranks: of `rows` rows.
        ks: cut-offs.

    Returns:
        `[len(ks), rows]` float64; 0 where the true candidate can't be found.
    """
    above, places, worth = _float64(ranks)
    return torch.stack([(k - above).clamp(min=0).minimum(places) / places * worth for k in ks])


def expected_ndcgs(ranks: TiedRanks, ks: Sequence[int]) -> Tensor:
    """The expected NDCG at k of a single relevant candidate, `1 / log2(1 + rank)` up to rank k.

    Args:
        ranks: of `rows` rows.
        ks: cut-offs.

    Returns:
        `[len(ks), rows]` float64; 0 where the true candidate can't be found.
    """
    _, places, worth = _float64(ranks)
    positions = torch.arange(max(ks), dtype=torch.float64, device=places.device)
    totals = _running_total(1 / torch.log2(positions + 2))
    last = ranks.above + ranks.tied + 1
    return torch.stack(
        [(totals[last.clamp(max=k)] - totals[ranks.above.clamp(max=k)]) / places * worth for k in ks]
    )


def expected_reciprocal_ranks(ranks: TiedRanks) -> Tensor:
    """The expected `1 / rank`, without a cut-off.

    Args:
        ranks: of `rows` rows.

    Returns:
        `[rows]` float64; 0 where the true candidate can't be found.
    """
    _, places, worth = _float64(ranks)
    last = ranks.above + ranks.tied + 1
    size = int(last.max()) if len(last) else 0
    totals = _running_total(1 / torch.arange(1, size + 1, dtype=torch.float64, device=last.device))
    return (totals[last] - totals[ranks.above]) / places * worth


def _float64(ranks: TiedRanks) -> tuple[Tensor, Tensor, Tensor]:
    return ranks.above.double(), (ranks.tied + 1).double(), ranks.found.double()


def _running_total(values: Tensor) -> Tensor:
    return torch.cat([values.new_zeros(1), values.cumsum(0)])
