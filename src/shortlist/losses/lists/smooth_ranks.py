"""Ranks that change smoothly with the scores, over lists of different lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.data.list_blocks import list_blocks
from shortlist.kernels import lists as kernels
from shortlist.losses.lists.list_losses import ENDED


def smooth_ranks(scores: Tensor, offsets: Tensor) -> Tensor:
    """`1 + sum of sigmoid(score' - score)` over the other items of each item's list.

    Args:
        scores: `[total]` float32 or float64.
        offsets: `[lists + 1]` int64.

    Returns:
        `[total]`.
    """
    if kernels.suits(scores):
        return kernels.list_smooth_ranks(scores, offsets)
    ranks = torch.empty_like(scores)
    for layout in list_blocks(offsets, pairs=True):
        own = layout.take(scores, fill=ENDED)
        # An item is half before itself.
        layout.put(ranks, torch.sigmoid_(own[:, None, :] - own[:, :, None]).sum(dim=2).add_(0.5))
    return ranks


def smooth_rank_slopes(scores: Tensor, offsets: Tensor, by_rank: Tensor) -> Tensor:
    """The slope by each score of a sum whose slope by each smooth rank is minus `by_rank`.

    Args:
        scores: `[total]` float32 or float64.
        offsets: `[lists + 1]` int64.
        by_rank: `[total]`.

    Returns:
        `[total]`.
    """
    if kernels.suits(scores):
        return kernels.list_smooth_rank_slopes(scores, offsets, by_rank)
    slopes = torch.empty_like(scores)
    for layout in list_blocks(offsets, pairs=True):
        own, push = layout.take(scores, fill=ENDED), layout.take(by_rank, fill=0)
        above = torch.sigmoid_(own[:, None, :] - own[:, :, None])
        # Moving i towards j moves j towards i: as steep both ways.
        sums = above.mul_(1 - above) @ torch.stack([push, torch.ones_like(push)], dim=2)
        layout.put(slopes, push * sums[:, :, 1] - sums[:, :, 0])
    return slopes
