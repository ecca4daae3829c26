"""Metrics made smooth: losses that are minus an approximate NDCG or reciprocal rank."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.losses.lists.gains import normalised_gains
from shortlist.losses.lists.gumbel import gumbel_noise, perturb_lists, sample_mean
from shortlist.losses.lists.inputs import Lists, check_lists, check_temperature
from shortlist.losses.lists.lambda_weights import DCGWeight, LambdaWeight
from shortlist.losses.lists.list_losses import (
    BatchLosses,
    ListLosses,
    divide,
    list_sums,
    per_list,
    whole_lists,
)
from shortlist.losses.lists.pairwise import logistic_loss
from shortlist.losses.lists.smooth_ranks import smooth_rank_slopes, smooth_ranks

# The metric of each list from labels, smooth ranks and offsets, and its slope by each rank.
RankMetric = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def approx_ndcg(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 0.1,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Minus NDCG, with the rank of an item as `1 + sum of sigmoid((s' - s) / temperature)` over the others.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: the smaller, the nearer to the true ranks and the rougher; positive.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        One value from -1 to 0 a list, of weight 0 without a label above 0.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Qin et al., A general approximation framework for direct optimization of information retrieval
    measures (2010); Bruch et al., Revisiting approximate metric optimization (SIGIR 2019).
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return whole_lists(partial(_smooth_metric, metric=_ndcg), lists)


def approx_mrr(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 0.1,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Minus the mean reciprocal rank of the relevant items, each counting by its label, with smooth ranks.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: the smaller, the nearer to the true ranks and the rougher; positive.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        One value from -1 to 0 a list, of weight 0 without a label above 0.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Qin et al., A general approximation framework for direct optimization of information retrieval
    measures (2010).
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return whole_lists(partial(_smooth_metric, metric=_reciprocal_rank), lists)


def gumbel_approx_ndcg(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 0.1,
    samples: int = 8,
    gumbel_temperature: float = 1.0,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """`approx_ndcg` averaged over orders that are drawn around the scores, which finds flatter optima.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: as in `approx_ndcg`.
        samples: draws a list.
        gumbel_temperature: divides the drawn scores; positive.
        generator: of the draws; None for PyTorch's own.
        noise: `[samples, total]` standard Gumbel draws, to use instead.
        item_weights: `[total]`, 0 or more, of which a list counts the mean over its labels; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        One value from -1 to 0 a list, of weight 0 without a label above 0.

    Raises:
        ConfigError: a temperature or `samples` is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Bruch et al., A stochastic treatment of learning to rank scoring functions (WSDM 2020).
    """
    lists = check_lists(scores, labels, item_weights=item_weights, list_weights=list_weights)
    drawn = gumbel_noise(lists.scores, samples, generator, noise)
    many = perturb_lists(lists, drawn, gumbel_temperature)
    check_temperature(temperature)
    many = many._replace(scores=many.scores / temperature)
    losses = whole_lists(partial(_smooth_metric, metric=_ndcg), many)
    return sample_mean(losses, len(drawn))


def yeti_logistic(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    samples: int = 8,
    gumbel_temperature: float = 1.0,
    lambda_weight: LambdaWeight | None = None,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Logistic loss of neighbours in orders that are drawn around the scores: YetiLoss for neural networks.

    Args:
        scores: lists of scores.
        labels: `[total]`, 0 or more.
        temperature: divides the drawn scores; positive.
        samples: draws a list.
        gumbel_temperature: divides the drawn scores too, before they are ranked; positive.
        lambda_weight: of each pair; by default `DCGWeight(normalized=False, neighbours=True)`.
        generator: of the draws; None for PyTorch's own.
        noise: `[samples, total]` standard Gumbel draws, to use instead.
        item_weights: `[total]`, 0 or more, of the pairs in which the item is the better one; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The weighted mean over each list's pairs in all draws.

    Raises:
        ConfigError: a temperature or `samples` is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Lyzhin et al., Which tricks are important for learning to rank? (ICML 2023).
    """
    lists = check_lists(scores, labels, item_weights=item_weights, list_weights=list_weights)
    check_temperature(temperature)
    drawn = gumbel_noise(lists.scores, samples, generator, noise)
    many = perturb_lists(lists, drawn, gumbel_temperature)
    many = many._replace(scores=many.scores / temperature)
    losses = per_list(logistic_loss(many, lambda_weight or _NEIGHBOURS), many)
    return sample_mean(losses, len(drawn))


_NEIGHBOURS = DCGWeight(normalized=False, neighbours=True)


def _smooth_metric(lists: Lists, gradient: bool, *, metric: RankMetric) -> BatchLosses:
    scores, labels, _, offsets = lists
    values, by_rank = metric(labels, smooth_ranks(scores, offsets), offsets)
    slopes = smooth_rank_slopes(scores, offsets, by_rank) if gradient else None
    return BatchLosses(-values, torch.ones_like(values), slopes)


def _ndcg(labels: Tensor, ranks: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    gains = normalised_gains(labels, offsets)
    logs = torch.log1p(ranks)
    found = gains * math.log(2) / logs
    return list_sums(found, offsets), -found / (logs * (1 + ranks))


def _reciprocal_rank(labels: Tensor, ranks: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    totals = list_sums(labels, offsets).repeat_interleave(offsets.diff(), output_size=len(labels))
    found = divide(labels, totals) / ranks
    return list_sums(found, offsets), -found / ranks
