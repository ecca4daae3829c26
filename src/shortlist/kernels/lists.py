"""Losses over lists of different lengths, by the native kernels: float32 on the CPU."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist import _native
from shortlist.kernels.checks import check_threads

# What tables of ranks must have after the longest list's.
ROOM: int = _native.LIST_ROOM


class PairTables(NamedTuple):
    """The weights of pairs by ranks from 0: `near[distance] * lift[lower] + |single[r] - single[s]|`."""

    near: Tensor  # [at least the longest list + ROOM] float32
    lift: Tensor  # as long
    single: Tensor  # as long
    top_n: int  # a pair without a rank below it weighs nothing


def suits(scores: Tensor) -> bool:
    """Whether the kernels take these scores.

    Args:
        scores: of any kind.
    """
    return scores.dtype == torch.float32 and scores.device.type == "cpu"


def list_logistic(
    scores: Tensor,
    offsets: Tensor,
    labels: Tensor,
    *,
    weights: Tensor | None = None,
    gains: Tensor | None = None,
    tables: PairTables | None = None,
    gradient: bool = False,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The logistic loss of all pairs of a better and a worse item.

    Args:
        scores: `[total]` float32.
        offsets: `[lists + 1]` int64.
        labels: `[total]` float32.
        weights: `[total]` float32 of the better item; None for 1.
        gains: `[total]` float32, whose differences weigh the pairs; None for 1.
        tables: what the ranks add to that; given with gains.
        gradient: whether it is wanted.
        threads: to work with; PyTorch's number by default.

    Returns:
        `[lists]` means by weight, `[lists]` sums of weights, and `[total]` the gradient of the means.
    """
    values, totals = (torch.empty(len(offsets) - 1) for _ in range(2))
    slopes = torch.empty(len(scores)) if gradient else None
    _native.list_logistic(
        _array(scores),
        _array(offsets),
        _array(labels),
        _given(weights),
        _given(gains),
        None if tables is None else _array(tables.near),
        None if tables is None else _array(tables.lift),
        None if tables is None else _array(tables.single),
        0 if tables is None else tables.top_n,
        check_threads(threads),
        values.numpy(),
        totals.numpy(),
        None if slopes is None else slopes.numpy(),
    )
    return values, totals, slopes


def list_smooth_ranks(scores: Tensor, offsets: Tensor, *, threads: int | None = None) -> Tensor:
    """`1 + sum of sigmoid(score' - score)` over the other items of each item's list.

    Args:
        scores: `[total]` float32.
        offsets: `[lists + 1]` int64.
        threads: to work with; PyTorch's number by default.

    Returns:
        `[total]` float32.
    """
    ranks = torch.empty(len(scores))
    _native.list_smooth_ranks(_array(scores), _array(offsets), check_threads(threads), ranks.numpy())
    return ranks


def list_smooth_rank_slopes(
    scores: Tensor, offsets: Tensor, by_rank: Tensor, *, threads: int | None = None
) -> Tensor:
    """The slope by each score of a sum whose slope by each smooth rank is minus `by_rank`.

    Args:
        scores: `[total]` float32.
        offsets: `[lists + 1]` int64.
        by_rank: `[total]` float32.
        threads: to work with; PyTorch's number by default.

    Returns:
        `[total]` float32.
    """
    slopes = torch.empty(len(scores))
    _native.list_smooth_rank_slopes(
        _array(scores), _array(offsets), _array(by_rank), check_threads(threads), slopes.numpy()
    )
    return slopes


def list_cross_entropy(
    scores: Tensor,
    offsets: Tensor,
    targets: Tensor,
    *,
    gradient: bool = False,
    threads: int | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Cross-entropy of the targets' shares under the softmax of each list.

    Args:
        scores: `[total]` float32.
        offsets: `[lists + 1]` int64.
        targets: `[total]` float32, 0 or more.
        gradient: whether it is wanted.
        threads: to work with; PyTorch's number by default.

    Returns:
        `[lists]` values, 0 without a target; `[lists]` sums of targets; and `[total]` the values' gradient.
    """
    values, totals = (torch.empty(len(offsets) - 1) for _ in range(2))
    slopes = torch.empty(len(scores)) if gradient else None
    _native.list_cross_entropy(
        _array(scores),
        _array(offsets),
        _array(targets),
        check_threads(threads),
        values.numpy(),
        totals.numpy(),
        None if slopes is None else slopes.numpy(),
    )
    return values, totals, slopes


def list_ideal_dcg(gains: Tensor, offsets: Tensor, discounts: Tensor) -> Tensor:
    """The best possible DCG of each list.

    Args:
        gains: `[total]` float32.
        offsets: `[lists + 1]` int64.
        discounts: `[width]` float32 of the first ranks; those after them do not count.

    Returns:
        `[lists]` float32.
    """
    ideal = torch.empty(len(offsets) - 1)
    _native.list_ideal_dcg(_array(gains), _array(offsets), _array(discounts), ideal.numpy())
    return ideal


def _array(values: Tensor) -> NDArray[np.generic]:
    return values.detach().contiguous().numpy()


def _given(values: Tensor | None) -> NDArray[np.generic] | None:
    return None if values is None else _array(values)
