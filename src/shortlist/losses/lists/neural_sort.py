"""Losses over a smooth permutation matrix, whose rows say which item is first, second and so on."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.losses.lists.gains import (
    exponential_gain,
    inverse_ideal_dcg,
    logarithmic_discount,
    relative_gains,
)
from shortlist.losses.lists.inputs import check_lists
from shortlist.losses.lists.list_losses import Block, ListLosses, by_autograd, in_blocks, whole_lists

# A chance below this counts as this, so that a hopeless place does not rule the loss.
SMALLEST_CHANCE = 1e-20


def neural_sort_cross_entropy(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Cross-entropy of the labels' smooth permutation matrix under that of the scores.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; the smaller, the nearer to a true permutation; positive.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The mean over each list's places, in nats, of weight 0 without a label above 0. A chance below 1e-20
        counts as 1e-20.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Grover et al., Stochastic optimization of sorting networks via continuous relaxations (ICLR 2019).
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return whole_lists(in_blocks(by_autograd(_cross_entropy), pairs=True), lists)


def neural_sort_ndcg(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Minus NDCG of the smooth permutation that the scores give (PiRank).

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; the smaller, the nearer to a true permutation; positive.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        One value from -1 to 0 a list, of weight 0 without a label above 0.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Swezey et al., PiRank: scalable learning to rank via differentiable sorting (NeurIPS 2021).
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return whole_lists(in_blocks(by_autograd(_ndcg), pairs=True), lists)


def _cross_entropy(block: Block) -> Tensor:
    wanted = _smooth_permutation(block.labels, block).exp()
    logs = _smooth_permutation(block.scores, block)
    floored = torch.logaddexp(logs, torch.full_like(logs, math.log(SMALLEST_CHANCE)))
    by_place = block.fill(-(wanted * floored).sum(dim=2), 0)
    return by_place.sum(dim=1) / block.lengths


def _ndcg(block: Block) -> Tensor:
    gains = relative_gains(block.labels, exponential_gain)
    at_places = (_smooth_permutation(block.scores, block).exp() @ gains[:, :, None])[:, :, 0]
    discounts = logarithmic_discount(torch.arange(1, gains.shape[1] + 1, device=gains.device).to(gains))
    return -(block.fill(at_places, 0) * discounts).sum(dim=1) * inverse_ideal_dcg(gains, logarithmic_discount)


def _smooth_permutation(keys: Tensor, block: Block) -> Tensor:
    """`[count, width, width]` log-chances of each item (last dimension) at each place."""
    keys = block.fill(keys, 0)
    present = block.layout.pairs_present()
    distances = (keys[:, :, None] - keys[:, None, :]).abs()
    if present is not None:
        distances = distances.masked_fill(~present, 0)
    places = torch.arange(1, keys.shape[1] + 1, device=keys.device)
    scaling = block.lengths[:, None] + 1 - 2 * places
    logits = scaling[:, :, None] * keys[:, None, :] - distances.sum(dim=1)[:, None, :]
    if block.layout.present is not None:
        logits = logits.masked_fill(~block.layout.present[:, None, :], -1e30)
    return torch.log_softmax(logits, dim=2)
