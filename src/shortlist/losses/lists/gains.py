"""What a label gains and what a rank discounts: the two factors of DCG."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from shortlist.data.list_blocks import list_blocks
from shortlist.errors import DataError
from shortlist.kernels.lists import list_ideal_dcg, suits

Transform = Callable[[Tensor], Tensor]

# What the gain of label 64 is; a sum of larger ones soon is more than float32 can hold.
HIGHEST_GAIN = 2.0**64


def exponential_gain(labels: Tensor) -> Tensor:
    """`2^label - 1`, so that one very good item is worth several fair ones.

    Args:
        labels: any shape.
    """
    return torch.exp2(labels) - 1


def linear_gain(labels: Tensor) -> Tensor:
    """The label itself.

    Args:
        labels: any shape.
    """
    return labels


def logarithmic_discount(ranks: Tensor) -> Tensor:
    """`1 / log2(1 + rank)`, that of NDCG.

    Args:
        ranks: any shape, from 1.
    """
    return math.log(2) / torch.log1p(ranks)


def reciprocal_discount(ranks: Tensor) -> Tensor:
    """`1 / rank`, that of the reciprocal rank.

    Args:
        ranks: any shape, from 1.
    """
    return 1 / ranks


def relative_gains(labels: Tensor, gain: Transform) -> Tensor:
    """Gains in a unit of each list's own, which cancels in NDCG and keeps high labels from overflowing.

    Args:
        labels: `[lists, width]`; 0 where a list has ended.
        gain: of labels.

    Returns:
        `[lists, width]`.

    Raises:
        DataError: a gain overflows all the same.
    """
    if gain is not exponential_gain:
        return check_gains(gain(labels))
    highest = labels.amax(dim=1, keepdim=True)
    return torch.exp2(labels - highest) * -torch.expm1(-labels * math.log(2))


def normalised_gains(labels: Tensor, offsets: Tensor) -> Tensor:
    """Exponential gains of flat lists over the best DCG of each, which no label makes overflow.

    Args:
        labels: `[total]`.
        offsets: `[lists + 1]` int64.

    Returns:
        `[total]`; 0 in a list without a gain.
    """
    if suits(labels) and gains_are_moderate(labels, exponential_gain):
        gains, lengths = exponential_gain(labels), offsets.diff()
        width = int(lengths.max()) if len(lengths) else 0
        discounts = logarithmic_discount(torch.arange(1, width + 1).to(gains))
        ideal = list_ideal_dcg(gains, offsets, discounts)
        inverse = torch.where(ideal > 0, 1 / ideal, 0)
        return gains * inverse.repeat_interleave(lengths, output_size=len(gains))
    gains = torch.empty_like(labels)
    for layout in list_blocks(offsets, pairs=False):
        own = relative_gains(layout.take(labels, fill=0), exponential_gain)
        layout.put(gains, own * inverse_ideal_dcg(own, logarithmic_discount)[:, None])
    return gains


def inverse_ideal_dcg(gains: Tensor, discount: Transform, *, top_n: int | None = None) -> Tensor:
    """One over the best possible DCG.

    Args:
        gains: `[lists, width]`; that of the label 0 where a list has ended.
        discount: of ranks.
        top_n: how many items count; None for all.

    Returns:
        `[lists]`; 0 for a list without a gain.
    """
    best = gains.sort(dim=1, descending=True).values[:, :top_n]
    ideal = best @ discount(torch.arange(1, best.shape[1] + 1, device=gains.device).to(gains))
    return torch.where(ideal > 0, 1 / ideal, 0)


def gains_are_moderate(labels: Tensor, gain: Transform) -> bool:
    """Whether gains can be told apart without a unit of each list's own.

    Args:
        labels: `[total]`.
        gain: of labels.
    """
    return gain is not exponential_gain or labels.numel() == 0 or float(labels.max()) <= 32


def check_gains(gains: Tensor) -> Tensor:
    """Refuse gains that are no numbers, or too large to be added up.

    Args:
        gains: any shape.

    Returns:
        The gains.

    Raises:
        DataError: a gain is not a number or above 2^64.
    """
    if gains.numel() and not float(gains.amax()) <= HIGHEST_GAIN:
        raise DataError(
            f"the gain of a label is {float(gains.amax()):g}",
            remedy="scale the labels to a few grades, such as 0 to 4, or use a linear gain",
        )
    return gains
