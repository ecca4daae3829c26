"""The k best columns of a block of scores; equal scores in the order of the columns."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged


def top_k_positions(scores: Tensor, k: int) -> Tensor:
    """Columns of the k highest scores of each row, best first; of equal scores, the lower column first.

    Args:
        scores: `[batch, n]` float, without NaN.
        k: how many; more than `n` counts as `n`.

    Returns:
        `[batch, min(k, n)]` int64.
    """
    width = scores.shape[1]
    k = min(k, width)
    # One value more than asked shows whether the last place is shared: only then does torch.topk's
    # arbitrary choice among equal scores matter. Places shared by -inf hold no result anyway.
    values, positions = scores.topk(min(k + 1, width), dim=1)
    positions = positions[:, :k].contiguous()
    if 0 < k < width:
        shared = (values[:, k] == values[:, k - 1]) & (values[:, k] > -torch.inf)
        if shared.any():
            positions[shared] = _first_of_equals(scores[shared], values[shared, k - 1 : k], k)
    positions = positions.sort(dim=1).values
    order = scores.gather(1, positions).sort(dim=1, descending=True, stable=True).indices
    return positions.gather(1, order)


def _first_of_equals(scores: Tensor, boundary: Tensor, k: int) -> Tensor:
    """Columns of all scores above the boundary and of the first that equal it, k a row, ascending."""
    above, equal = scores > boundary, scores == boundary
    wanted = k - above.sum(1, keepdim=True)
    chosen = above | (equal & (equal.cumsum(1, dtype=torch.int32) <= wanted))
    return chosen.nonzero()[:, 1].view(len(scores), k)


def top_k_scores(
    scores: Tensor, items: Tensor, k: int, *, exclude: Ragged | None = None
) -> tuple[Tensor, Tensor]:
    """The k best items of each row; equal scores by lower item index.

    Args:
        scores: `[batch, n]` float32; overwritten where items are excluded.
        items: `[n]` int64 item index of each column, ascending.
        k: how many.
        exclude: `[batch]` rows of item indices not to return; others than those of `items` do no harm.

    Returns:
        Items `[batch, min(k, n)]` int64, 0 where a row has no further item, and their scores, -inf there.
    """
    if exclude is not None and len(items):
        columns = torch.searchsorted(items, exclude.values).clamp_max_(len(items) - 1)
        present = items[columns] == exclude.values
        scores[exclude.row_ids()[present], columns[present]] = -torch.inf
    positions = top_k_positions(scores, k)
    best = scores.gather(1, positions)
    return torch.where(best > -torch.inf, items[positions], 0), best
