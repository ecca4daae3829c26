"""Losses over lists of different lengths, and their order, by the native kernels: float32 on the CPU."""

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
    return scores.is_cpu and scores.dtype == torch.float32


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
    values, totals = _room_for_lists(offsets), _room_for_lists(offsets)
    slopes = torch.empty(scores.shape) if gradient else None
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
        values,
        totals,
        _given(slopes),
    )
    return torch.from_numpy(values), torch.from_numpy(totals), slopes


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


class CrossEntropy(NamedTuple):
    """What `list_cross_entropy` answers."""

    values: Tensor  # [lists], 0 without a target
    totals: Tensor  # [lists] sums of targets
    slopes: Tensor | None  # [total] the gradient of each value times its total
    sound: bool  # whether all numbers are finite and no target is negative; the rest means nothing otherwise


def list_cross_entropy(
    scores: Tensor,
    offsets: Tensor,
    targets: Tensor,
    *,
    gradient: bool = False,
    threads: int | None = None,
) -> CrossEntropy:
    """Cross-entropy of the targets' shares under the softmax of each list.

    Args:
        scores: `[total]` float32.
        offsets: `[lists + 1]` int64.
        targets: `[total]` float32, 0 or more.
        gradient: whether it is wanted.
        threads: to work with; PyTorch's number by default.

    Returns:
        The losses, and whether the numbers that they come from make sense.
    """
    values, totals = _room_for_lists(offsets), _room_for_lists(offsets)
    slopes = torch.empty(scores.shape) if gradient else None
    sound = _native.list_cross_entropy(
        _array(scores),
        _array(offsets),
        _array(targets),
        check_threads(threads),
        values,
        totals,
        _given(slopes),
    )
    return CrossEntropy(torch.from_numpy(values), torch.from_numpy(totals), slopes, sound)


def list_products(values: Tensor, offsets: Tensor, factors: Tensor) -> Tensor:
    """Each item's number times its list's factor.

    Args:
        values: `[total]` float32.
        offsets: `[lists + 1]` int64.
        factors: `[lists]` float32.

    Returns:
        `[total]` float32.
    """
    products = torch.empty(len(values))
    _native.list_products(_array(values), _array(offsets), _array(factors), products.numpy())
    return products


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


def list_best(scores: Tensor, offsets: Tensor, items: Tensor, keep: int) -> Tensor:
    """The positions of each list's best items, best first.

    Args:
        scores: `[total]` float32; NaN comes last.
        offsets: `[lists + 1]` int64.
        items: `[total]` int64, of which the lower wins between equal scores.
        keep: how many of each list at most.

    Returns:
        `[kept]` int64, one list after another.
    """
    kept = min(len(scores), keep) if len(offsets) == 2 else int(offsets.diff().clamp(max=keep).sum())
    order = torch.empty(kept, dtype=torch.int64)
    _native.list_best(_array(scores), _array(offsets), _array(items), keep, order.numpy())
    return order


def list_marginal_relevance(
    scores: Tensor, offsets: Tensor, items: Tensor, vectors: Tensor, *, strength: float, picks: int
) -> tuple[Tensor, Tensor]:
    """Greedy maximal marginal relevance by the cosine of vectors; see `shortlist.postrank.Diversity`.

    Args:
        scores: `[total]` float32, finite.
        offsets: `[lists + 1]` int64.
        items: `[total]` int64 rows of the vectors.
        vectors: `[num_items, dim]` float32.
        strength: weight of the similarity, from 0 to 1.
        picks: how many of each list to pick; the others follow in their order.

    Returns:
        `[total]` int64 positions in their new order, one list after another, and `[total]` float32 the
        similarity of each item to the nearest one picked before it.
    """
    order, penalty = torch.empty(len(scores), dtype=torch.int64), torch.empty(len(scores))
    _native.list_marginal_relevance(
        _array(scores),
        _array(offsets),
        _array(items),
        _array(vectors),
        strength,
        picks,
        order.numpy(),
        penalty.numpy(),
    )
    return order, penalty


def list_relative_scores(scores: Tensor, offsets: Tensor, columns: Tensor, first: int) -> None:
    """Each score in the light of its list's others, written into three columns of a matrix.

    Args:
        scores: `[total]` float32; what is not finite counts as 0.
        offsets: `[lists + 1]` int64.
        columns: `[total, width]` float32, contiguous.
        first: the number of the column for the score less the list's mean over its deviation; the next ones
            get the logarithm of the rank, from 1, over 5, and the reciprocal of the rank.
    """
    _native.list_relative_scores(_array(scores), _array(offsets), first, columns.numpy())


def _room_for_lists(offsets: Tensor) -> NDArray[np.float32]:
    # NumPy makes a small array, and PyTorch takes it, in half of the time of a tensor that NumPy takes.
    return np.empty(offsets.shape[0] - 1, np.float32)


def _array(values: Tensor) -> NDArray[np.generic]:
    return (values.detach() if values.requires_grad else values).contiguous().numpy()


def _given(values: Tensor | None) -> NDArray[np.generic] | None:
    return None if values is None else _array(values)
