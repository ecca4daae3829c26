"""Losses of the pairs of a list's items, of which the better one should have the higher score."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from shortlist.data.ragged import Ragged
from shortlist.kernels import lists as kernels
from shortlist.losses.lists.inputs import Lists, check_lists
from shortlist.losses.lists.lambda_weights import DCGWeight, LambdaWeight
from shortlist.losses.lists.list_losses import (
    BatchLoss,
    BatchLosses,
    Block,
    BlockLoss,
    BlockLosses,
    ListLosses,
    divide,
    in_blocks,
    per_list,
)

# The losses of pairs and their slopes, from how far the first score is above the second (overwritten) and the
# difference of the labels.
PairLoss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def pairwise_logistic(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    lambda_weight: LambdaWeight | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """`log(1 + exp(-(s - s')))` of every pair of a better item and a worse one (RankNet).

    With `lambda_weight=DCGWeight()` it is LambdaLoss, with `DCGWeight(smooth_fraction=1)` LambdaRank.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; positive.
        lambda_weight: a further weight of each pair; None for 1.
        item_weights: `[total]`, 0 or more, of the pairs in which the item is the better one; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The weighted mean over each list's pairs.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Burges et al., Learning to rank using gradient descent (ICML 2005).
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return per_list(logistic_loss(lists, lambda_weight), lists)


def pairwise_hinge(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    lambda_weight: LambdaWeight | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """`max(0, 1 - (s - s'))` of every pair of a better item and a worse one (RankSVM).

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; positive.
        lambda_weight: a further weight of each pair; None for 1.
        item_weights: `[total]`, 0 or more, of the pairs in which the item is the better one; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The weighted mean over each list's pairs.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Joachims, Optimizing search engines using clickthrough data (KDD 2002).
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return per_list(in_blocks(pair_block_loss(_hinge, lambda_weight), pairs=True), lists)


def pairwise_soft_zero_one(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    lambda_weight: LambdaWeight | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """`sigmoid(-(s - s'))` of every pair of a better item and a worse one: a smooth count of wrong pairs.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; positive.
        lambda_weight: a further weight of each pair; None for 1.
        item_weights: `[total]`, 0 or more, of the pairs in which the item is the better one; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The weighted mean over each list's pairs.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return per_list(in_blocks(pair_block_loss(_soft_zero_one, lambda_weight), pairs=True), lists)


def pairwise_squared(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    lambda_weight: LambdaWeight | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """`((s - s') - (y - y'))^2` of every two items, those of equal labels too.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; positive.
        lambda_weight: a further weight of each pair; None for 1.
        item_weights: `[total]`, 0 or more; a pair weighs the mean of its two items. None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The weighted mean over each list's pairs.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return per_list(in_blocks(pair_block_loss(_squared, lambda_weight, equal_labels=True), pairs=True), lists)


def pair_block_loss(
    pair_loss: PairLoss, lambda_weight: LambdaWeight | None, *, equal_labels: bool = False
) -> BlockLoss:
    """The loss of a block of lists, from that of a pair.

    Args:
        pair_loss: of a pair.
        lambda_weight: a further weight of each pair, or None.
        equal_labels: whether any two items form a pair, rather than a better and a worse one.
    """

    def loss(block: Block, gradient: bool) -> BlockLosses:
        if lambda_weight is None:
            return _compare(block, gradient, pair_loss, None, equal_labels)
        # Weights depend on ranks: with the best score first, those are the same for all lists.
        order = block.scores.argsort(dim=1, descending=True, stable=True)
        answer = _compare(block.reorder(order), gradient, pair_loss, lambda_weight, equal_labels)
        if answer.gradient is None:
            return answer
        return answer._replace(gradient=torch.empty_like(block.scores).scatter_(1, order, answer.gradient))

    return loss


def logistic_loss(lists: Lists, lambda_weight: LambdaWeight | None) -> BatchLoss:
    """The way to work out the logistic loss of a batch: by the native kernel where it can.

    Args:
        lists: whose kind counts, and whether a gain of its labels is too high for the kernel.
        lambda_weight: a further weight of each pair, or None.
    """
    native = kernels.suits(lists.scores)
    if native and lambda_weight is None:
        return _fused
    if native and isinstance(lambda_weight, DCGWeight) and lambda_weight.gains_are_moderate(lists.labels):
        return partial(_fused, lambda_weight=lambda_weight)
    return in_blocks(pair_block_loss(logistic, lambda_weight), pairs=True)


def _fused(lists: Lists, gradient: bool, *, lambda_weight: DCGWeight | None = None) -> BatchLosses:
    gains = tables = None
    if lambda_weight is not None:
        gains = lambda_weight.scaled_gains(lists.labels, lists.offsets)
        longest = int(lists.offsets.diff().max()) if len(lists.offsets) > 1 else 0
        tables = lambda_weight.tables(longest + kernels.ROOM)
    found = kernels.list_logistic(
        lists.scores,
        lists.offsets,
        lists.labels,
        weights=lists.weights,
        gains=gains,
        tables=tables,
        gradient=gradient,
    )
    return BatchLosses(*found)


def logistic(difference: Tensor, margin: Tensor) -> tuple[Tensor, Tensor]:
    """The logistic loss of pairs and its slope.

    Args:
        difference: any shape, how far the better item's score is above the worse one's; overwritten.
        margin: not used.

    Returns:
        Losses and slopes of the same shape.
    """
    losses = functional.softplus(difference.neg_())
    return losses, torch.expm1(-losses)


def _hinge(difference: Tensor, margin: Tensor) -> tuple[Tensor, Tensor]:
    losses = difference.neg_().add_(1).clamp_(min=0)
    return losses, (losses > 0).to(losses.dtype).neg_()


def _soft_zero_one(difference: Tensor, margin: Tensor) -> tuple[Tensor, Tensor]:
    losses = difference.neg_().sigmoid_()
    return losses, losses * (losses - 1)


def _squared(difference: Tensor, margin: Tensor) -> tuple[Tensor, Tensor]:
    errors = difference.sub_(margin)
    return errors.square(), errors.mul_(2)


def _compare(
    block: Block,
    gradient: bool,
    pair_loss: PairLoss,
    lambda_weight: LambdaWeight | None,
    equal_labels: bool,
) -> BlockLosses:
    margins = block.labels[:, :, None] - block.labels[:, None, :]
    weights = _pair_weights(block, margins, lambda_weight, equal_labels)
    losses, slopes = pair_loss(block.scores[:, :, None] - block.scores[:, None, :], margins)
    present = block.layout.pairs_present()
    if (
        present is not None
    ):  # a pair with an item that is not there may be infinite, so a weight of 0 won't do
        losses, slopes = losses.masked_fill_(~present, 0), slopes.masked_fill_(~present, 0)
    totals = weights.sum(dim=(1, 2))
    values = divide(losses.mul_(weights).sum(dim=(1, 2)), totals)
    if not gradient:
        return BlockLosses(values, totals, None)
    slopes.mul_(weights)
    return BlockLosses(values, totals, divide(slopes.sum(dim=2) - slopes.sum(dim=1), totals[:, None]))


def _pair_weights(
    block: Block, margins: Tensor, lambda_weight: LambdaWeight | None, equal_labels: bool
) -> Tensor:
    if equal_labels:
        chosen = ~torch.eye(margins.shape[1], dtype=torch.bool, device=margins.device).expand_as(margins)
    else:
        chosen = margins > 0
    present = block.layout.pairs_present()
    if present is not None:
        chosen = chosen & present
    weights = chosen.to(block.scores.dtype)
    if lambda_weight is not None:
        weights.mul_(lambda_weight.pair_weights(block.labels, block.lengths))
    return weights if block.weights is None else weights.mul_(block.weights[:, :, None])
