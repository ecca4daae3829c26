"""Losses of a list's whole order: the Plackett-Luce likelihood of the labels' permutation."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.losses.lists.gains import Transform
from shortlist.losses.lists.gumbel import gumbel_noise, repeat_lists, sample_mean
from shortlist.losses.lists.inputs import check_lists
from shortlist.losses.lists.lambda_weights import check_top_n
from shortlist.losses.lists.list_losses import ENDED, Block, BlockLosses, ListLosses, in_blocks, whole_lists


def list_mle(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    discount: Transform | None = None,
    generator: torch.Generator | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Negative log-likelihood of the labels' order, each place filled by a softmax over what is left.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the scores; positive.
        discount: the weight of each place, from its rank, such as `logarithmic_discount` (position-aware
            ListMLE); None for 1.
        generator: breaks ties of labels at random; without one the higher score stands first.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The sum over each list's places, in nats, of weight 0 without a label above 0.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Xia et al., Listwise approach to learning to rank (ICML 2008); Lan et al., Position-aware ListMLE
    (UAI 2014).
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return whole_lists(in_blocks(partial(_plackett_luce, discount=discount, generator=generator)), lists)


def coupled_rank_distil(
    scores: Ragged,
    labels: Tensor,
    *,
    top_k: int | None = None,
    samples: int = 8,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Negative log-likelihood of orders that are drawn from a teacher's scores.

    Args:
        scores: lists of the student's scores.
        labels: `[total]` the teacher's scores, 0 or more.
        top_k: how many places of an order count; None for all.
        samples: orders a list.
        temperature: divides the student's scores; positive.
        generator: of the draws; None for PyTorch's own.
        noise: `[samples, total]` standard Gumbel draws, to use instead.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The mean over the orders of each list, in nats, of weight 0 without a label above 0.

    Raises:
        ConfigError: the temperature, `top_k` or `samples` is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Reddi et al., RankDistil: knowledge distillation for ranking (AISTATS 2021).
    """
    check_top_n(top_k, name="top_k")
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    drawn = gumbel_noise(lists.scores, samples, generator, noise)
    repeated = repeat_lists(lists, len(drawn))
    orders = (lists.labels + drawn).flatten()
    first = None if top_k is None else partial(_first, top_k=top_k)
    losses = whole_lists(in_blocks(partial(_plackett_luce, discount=first)), repeated, targets=orders)
    return sample_mean(losses, len(drawn))


def _first(ranks: Tensor, top_k: int) -> Tensor:
    return (ranks <= top_k).to(ranks.dtype)


def _plackett_luce(
    block: Block,
    gradient: bool,
    *,
    discount: Transform | None = None,
    generator: torch.Generator | None = None,
) -> BlockLosses:
    # In double precision: what is left of a list at its end is a difference of large numbers.
    tie_breaks = (
        block.scores
        if generator is None
        else torch.rand(block.scores.shape, generator=generator, device=block.scores.device)
    )
    order = tie_breaks.argsort(dim=1, descending=True, stable=True)
    by_label = block.fill(block.labels, ENDED).gather(1, order).argsort(dim=1, descending=True, stable=True)
    order = order.gather(1, by_label)
    scores = block.scores.double().gather(1, order)
    left = scores.flip(1).logcumsumexp(dim=1).flip(1)  # of the items that are still to be placed
    ranks = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
    places = torch.ones_like(ranks) if discount is None else discount(ranks)
    worth = block.fill(places.expand_as(scores), 0)  # lists end where their order ends
    values = (worth * (left - scores)).sum(dim=1).to(block.scores.dtype)
    if not gradient:
        return BlockLosses(values, torch.ones_like(values), None)
    chosen = (scores + (worth.log() - left).logcumsumexp(dim=1)).exp() - worth
    slopes = torch.empty_like(block.scores).scatter_(1, order, chosen.to(block.scores.dtype))
    return BlockLosses(values, torch.ones_like(values), slopes)
