"""Losses of a list as a whole: the probability of its best items, or of its order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, ShapeError
from shortlist.kernels import lists as kernels
from shortlist.losses.lists.gains import check_gains
from shortlist.losses.lists.inputs import Lists, check_list_weights, check_lists, check_numbers
from shortlist.losses.lists.lambda_weights import DCGWeight
from shortlist.losses.lists.list_losses import (
    ENDED,
    BatchLoss,
    BatchLosses,
    Block,
    BlockLosses,
    ListLosses,
    divide,
    in_blocks,
    per_list,
    whole_lists,
)

# What a block's items should share of the probability, and the sum of it by list.
Targets = Callable[[Block], Tensor]


def softmax(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    poly_epsilon: float = 0.0,
    lambda_weight: DCGWeight | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Cross-entropy of the labels' shares under the softmax of a list's scores.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more; an item's share is its label over the list's sum.
        temperature: divides the scores; positive.
        poly_epsilon: how much of `1 - (the shares' mean probability)` to add, which is Poly-1; 0 for none.
        lambda_weight: whose gains and discounts at the present ranks take the labels' place; None for none.
        item_weights: `[total]`, 0 or more, factors of the labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        One value a list, weighing as much as the sum of its labels.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Cao et al., Learning to rank: from pairwise approach to listwise approach (ICML 2007); Leng et
    al., PolyLoss (ICLR 2022).
    """
    # The kernel looks at the numbers itself; weights could hide from it what is wrong with them.
    looked_at = lambda_weight is None and poly_epsilon == 0 and kernels.suits(scores.values)
    looked_at = looked_at and item_weights is None and list_weights is None
    lists = check_lists(
        scores,
        labels,
        temperature=temperature,
        item_weights=item_weights,
        list_weights=list_weights,
        numbers=not looked_at,
    )
    return per_list(_over_batch(lists, lambda_weight, poly_epsilon), lists)


def list_net(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    label_temperature: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Cross-entropy of the softmax of the labels under the softmax of the scores.

    Unlike `softmax` it asks items of label 0 to keep a share of the probability.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; positive.
        label_temperature: divides the labels; positive.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        One value a list, of weight 0 without a label above 0.

    Raises:
        ConfigError: a temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Cao et al., Learning to rank: from pairwise approach to listwise approach (ICML 2007).
    """
    if not label_temperature > 0:
        raise ConfigError(f"label_temperature is {label_temperature}", remedy="pass a positive number")
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    targets = partial(_softmax_of_labels, temperature=label_temperature)
    return whole_lists(in_blocks(partial(_cross_entropy, targets=targets)), lists)


def xe_ndcg(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Cross-entropy whose shares are `2^label - u`, with u drawn anew each time: a bound on NDCG.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; positive.
        generator: of the draws; None for PyTorch's own.
        noise: `[total]` draws from 0 to 1, to use instead.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        One value a list, of weight 0 without a label above 0.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, a gain overflows, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Bruch, An alternative cross entropy loss for learning-to-rank (WWW 2021).
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    if noise is None:
        noise = torch.rand(lists.labels.shape, generator=generator, device=lists.labels.device)
    if noise.shape != lists.labels.shape:
        raise ShapeError(
            f"noise is {tuple(noise.shape)} for {len(lists.labels)} items", remedy="pass one draw an item"
        )
    shares = check_gains(torch.exp2(lists.labels)) - noise.to(lists.labels)
    return whole_lists(_over_batch(lists), lists, targets=shares)


def calibrated_softmax(
    scores: Ragged,
    labels: Tensor,
    *,
    virtual_label: float = 0.0,
    temperature: float = 1.0,
    lambda_weight: DCGWeight | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Softmax cross-entropy with one item more in every list, of score 0, which fixes the scores' level.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        virtual_label: of the added item, 0 or more.
        temperature: divides the scores; positive.
        lambda_weight: whose gains and discounts at the present ranks take the labels' place; None for none.
        item_weights: `[total]`, 0 or more, factors of the labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        One value a list, weighing as much as the sum of its labels; 0 for a list without items. The added
        item weighs 1 among its list's.

    Raises:
        ConfigError: the temperature is not positive or the virtual label negative.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Yan et al., Scale calibration of deep ranking models (KDD 2022).
    """
    if not 0 <= virtual_label < float("inf"):
        raise ConfigError(f"virtual_label is {virtual_label}", remedy="pass 0 or more")
    lists = check_lists(scores, labels, temperature=temperature, item_weights=item_weights)
    losses = per_list(_over_batch(lists, lambda_weight), _with_virtual_item(lists, virtual_label))
    weights = losses.weights * (scores.lengths > 0)
    if list_weights is not None:
        check_list_weights(list_weights, len(scores))
        weights = weights * list_weights.to(weights.dtype)
    return ListLosses(losses.values, weights)


def _over_batch(lists: Lists, lambda_weight: DCGWeight | None = None, poly_epsilon: float = 0.0) -> BatchLoss:
    if lambda_weight is None and poly_epsilon == 0 and kernels.suits(lists.scores):
        return _fused
    targets = _labels if lambda_weight is None else partial(_gains_at_ranks, weight=lambda_weight)
    return in_blocks(partial(_cross_entropy, targets=targets, epsilon=poly_epsilon))


def _fused(lists: Lists, gradient: bool) -> BatchLosses:
    targets = lists.labels if lists.weights is None else lists.labels * lists.weights
    found = kernels.list_cross_entropy(lists.scores, lists.offsets, targets, gradient=gradient)
    if not found.sound:
        check_numbers(lists.scores, lists.labels)
    return BatchLosses(found.values, found.totals, found.slopes, weighted=True)


def _labels(block: Block) -> Tensor:
    return block.labels


def _softmax_of_labels(block: Block, temperature: float) -> Tensor:
    return torch.softmax(block.fill(block.labels / temperature, ENDED), dim=1)


def _gains_at_ranks(block: Block, weight: DCGWeight) -> Tensor:
    order = block.scores.argsort(dim=1, descending=True, stable=True)
    gains = weight.item_weights(block.labels.gather(1, order), block.lengths)
    return block.fill(torch.empty_like(gains).scatter_(1, order, gains), 0)


def _cross_entropy(block: Block, gradient: bool, *, targets: Targets, epsilon: float = 0.0) -> BlockLosses:
    wanted = targets(block)
    return _soft_targets(
        block.scores, wanted if block.weights is None else wanted * block.weights, gradient, epsilon
    )


def _with_virtual_item(lists: Lists, label: float) -> Lists:
    """The lists, each with an item of score 0 and weight 1 at its end."""
    count = len(lists.offsets) - 1
    rows = torch.arange(count, device=lists.offsets.device)
    places = torch.arange(len(lists.labels), device=lists.offsets.device)
    places += rows.repeat_interleave(lists.offsets.diff(), output_size=len(places))

    def extended(values: Tensor, last: float) -> Tensor:
        return values.new_full((len(values) + count,), last).index_copy(0, places, values)

    weights = None if lists.weights is None else extended(lists.weights, 1)
    grown = lists.offsets + torch.arange(count + 1, device=lists.offsets.device)
    return Lists(extended(lists.scores, 0), extended(lists.labels, label), weights, grown)


def _soft_targets(scores: Tensor, targets: Tensor, gradient: bool, epsilon: float) -> BlockLosses:
    totals = targets.sum(dim=1)
    shares = divide(targets, totals[:, None])
    logs = torch.log_softmax(scores, dim=1)
    values = -(shares * logs).sum(dim=1)
    if not (gradient or epsilon):
        return BlockLosses(values, totals, None)
    chances = logs.exp_()
    slopes = chances - shares
    if epsilon:
        mean_chance = (shares * chances).sum(dim=1)
        values = values + epsilon * (1 - mean_chance)
        slopes = slopes - epsilon * chances * (shares - mean_chance[:, None])
    taught = totals > 0
    return BlockLosses(values * taught, totals, slopes * taught[:, None])
