"""Losses of each item of a list against the items that it should beat."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError
from shortlist.losses.lists.gains import check_gains, exponential_gain
from shortlist.losses.lists.inputs import check_lists
from shortlist.losses.lists.list_losses import Block, BlockLosses, ListLosses, in_blocks, whole_lists


def unique_softmax(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Softmax cross-entropy of each item against those of lower labels alone, weighed by `2^label - 1`.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; positive.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The sum over each list's items, of weight 0 without a label above 0.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, a gain overflows, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Zhu and Klabjan, Listwise learning to rank by exploring unique ratings (WSDM 2020).
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    check_gains(exponential_gain(lists.labels))
    return whole_lists(in_blocks(_unique_softmax, pairs=True), lists)


def circle(
    scores: Ragged,
    labels: Tensor,
    *,
    gamma: float = 64.0,
    margin: float = 0.25,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """A smooth maximum over all pairs in the wrong order, each item pulled as far as it is from its goal.

    Args:
        scores: lists of similarities; what is outside 0 to 1 is cut off there, and has no gradient.
        labels: `[total]`, 0 or more.
        gamma: how sharp the maximum is; positive.
        margin: a better item should reach `1 - margin`, a worse one fall to `margin`.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        One value a list; 0, with weight 0, where all labels are equal.

    Raises:
        ConfigError: gamma is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Sun et al., Circle loss (CVPR 2020).
    """
    if not gamma > 0:
        raise ConfigError(f"gamma is {gamma}", remedy="pass a positive number such as 64")
    lists = check_lists(scores, labels, item_weights=item_weights, list_weights=list_weights)
    lists = lists._replace(scores=lists.scores.clamp(0, 1))
    return whole_lists(in_blocks(partial(_circle, gamma=gamma, margin=margin), pairs=True), lists)


def _unique_softmax(block: Block, gradient: bool) -> BlockLosses:
    scores, labels = block.scores, block.labels
    rivals = (labels[:, :, None] > labels[:, None, :]) | torch.eye(
        scores.shape[1], dtype=torch.bool, device=scores.device
    )
    present = block.layout.present
    if present is not None:
        rivals = rivals & present[:, None, :]
        rivals = rivals | ~present[:, :, None]  # a row that does not count must not be empty
    logits = torch.where(rivals, scores[:, None, :], -torch.inf)
    totals = logits.logsumexp(dim=2)
    gains = exponential_gain(labels)
    values = (gains * (totals - scores)).sum(dim=1)
    if not gradient:
        return BlockLosses(values, torch.ones_like(values), None)
    chances = logits.sub_(totals[:, :, None]).exp_()
    slopes = (gains[:, None, :] @ chances)[:, 0] - gains
    return BlockLosses(values, torch.ones_like(values), slopes)


def _circle(block: Block, gradient: bool, *, gamma: float, margin: float) -> BlockLosses:
    scores = block.scores.clamp(min=0)  # a list's end too: no pair has it
    pull, push = (1 + margin - scores).clamp(min=0), (scores + margin).clamp(min=0)
    logits = gamma * ((pull * (1 - margin - scores))[:, :, None] + (push * (scores - margin))[:, None, :])
    wrong = block.labels[:, :, None] > block.labels[:, None, :]
    present = block.layout.pairs_present()
    if present is not None:
        wrong = wrong & present
    flat = torch.where(wrong, logits, -torch.inf).flatten(1)
    totals = torch.cat([flat, flat.new_zeros(len(flat), 1)], dim=1).logsumexp(dim=1)
    taught = wrong.flatten(1).any(dim=1).to(totals.dtype)
    if not gradient:
        return BlockLosses(totals, taught, None)
    chances = (flat - totals[:, None]).exp_().view_as(logits)
    return BlockLosses(totals, taught, gamma * (push * chances.sum(dim=1) - pull * chances.sum(dim=2)))
