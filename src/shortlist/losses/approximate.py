"""Metrics made smooth: losses that are minus an approximate NDCG or reciprocal rank."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.losses.gumbel import gumbel_noise, perturb_lists, sample_mean
from shortlist.losses.lambda_weights import (
    DCGWeight,
    LambdaWeight,
    exponential_gain,
    inverse_ideal_dcg,
    logarithmic_discount,
    relative_gains,
)
from shortlist.losses.list_inputs import check_lists, check_temperature
from shortlist.losses.list_losses import (
    Block,
    BlockLosses,
    ListLosses,
    divide,
    per_list,
    whole_lists,
)
from shortlist.losses.list_pairwise import logistic, pair_block_loss

# The metric of each list from labels and smooth ranks, and its slope by each rank.
RankMetric = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


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
    return whole_lists(partial(_smooth_metric, metric=_ndcg), lists, pairs=True)


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
    return whole_lists(partial(_smooth_metric, metric=_reciprocal_rank), lists, pairs=True)


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
    losses = whole_lists(partial(_smooth_metric, metric=_ndcg), many, pairs=True)
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
    losses = per_list(pair_block_loss(logistic, lambda_weight or _NEIGHBOURS), many, pairs=True)
    return sample_mean(losses, len(drawn))


_NEIGHBOURS = DCGWeight(normalized=False, neighbours=True)


def _smooth_metric(block: Block, gradient: bool, *, metric: RankMetric) -> BlockLosses:
    scores = block.scores
    above = torch.sigmoid_(scores[:, None, :] - scores[:, :, None])  # the share of j that is before i
    ranks = above.sum(dim=2).add_(0.5)  # an item is half before itself
    values, by_rank = metric(block.labels, ranks)
    if not gradient:
        return BlockLosses(-values, torch.ones_like(values), None)
    steepness = above.mul_(1 - above)  # symmetric: moving i towards j moves j towards i
    sums = steepness @ torch.stack([by_rank, torch.ones_like(by_rank)], dim=2)
    return BlockLosses(-values, torch.ones_like(values), by_rank * sums[:, :, 1] - sums[:, :, 0])


def _ndcg(labels: Tensor, ranks: Tensor) -> tuple[Tensor, Tensor]:
    gains = relative_gains(labels, exponential_gain)
    gains = gains * inverse_ideal_dcg(gains, logarithmic_discount)[:, None]
    discounts = logarithmic_discount(ranks)
    logs = torch.log1p(ranks)
    return (gains * discounts).sum(dim=1), -gains * discounts / (logs * (1 + ranks))


def _reciprocal_rank(labels: Tensor, ranks: Tensor) -> tuple[Tensor, Tensor]:
    shares = divide(labels, labels.sum(dim=1, keepdim=True))
    return (shares / ranks).sum(dim=1), -shares / ranks.square()
