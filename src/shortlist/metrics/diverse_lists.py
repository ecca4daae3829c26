"""Metrics of scored lists whose items cover one or several subtopics."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, ShapeError
from shortlist.metrics.scored_order import ScoredOrder
from shortlist.metrics.streaming import check_cutoffs


def alpha_dcg(
    scores: Ragged,
    subtopics: Tensor,
    *,
    k: int | None = None,
    alpha: float = 0.5,
    item_weights: Tensor | None = None,
) -> Tensor:
    """DCG in which a subtopic gains less each time it comes again.

    Args:
        scores: lists of `[total]` scores; of equal ones the item with fewer subtopics stands first.
        subtopics: `[total, num_subtopics]`, 1 where an item covers a subtopic, else 0.
        k: cut-off; None for none.
        alpha: share of the gain that is lost each time, from 0 to 1.
        item_weights: `[total]`, 0 or more; an item of weight 0 is not there. None for 1.

    Returns:
        `[lists]` float64; NaN where no subtopic is covered.

    Raises:
        ConfigError: alpha is outside [0, 1], or `k` is not positive.
        DataError: a score is not a number, or a label or weight is negative or not a number.
        ShapeError: the arguments do not fit together.

    Source: Clarke et al., Novelty and diversity in information retrieval evaluation (SIGIR 2008).
    """
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha is {alpha}", remedy="pass a share from 0 to 1")
    order = _order(scores, subtopics, item_weights)
    gains = (order.labels * (1 - alpha) ** order.before(order.labels)).sum(dim=1)
    discounted = gains * order.weights / torch.log2(1 + order.ranks.double())
    return _defined(order, order.total(discounted * _within(order, k)))


def precision_ia(
    scores: Ragged, subtopics: Tensor, *, k: int | None = None, item_weights: Tensor | None = None
) -> Tensor:
    """Precision of the first k, averaged over the subtopics that the list's items cover (intent-aware).

    Args:
        scores: lists of `[total]` scores; ties count as expected under a random order.
        subtopics: `[total, num_subtopics]`, 1 or more where an item covers a subtopic, else 0.
        k: cut-off; None for none.
        item_weights: `[total]`, 0 or more; an item of weight 0 is not there. None for 1.

    Returns:
        `[lists]` float64 in [0, 1]; NaN where no subtopic is covered.

    Raises:
        ConfigError: `k` is not positive.
        DataError: a score is not a number, or a label or weight is negative or not a number.
        ShapeError: the arguments do not fit together.

    Source: Clarke et al., Overview of the TREC 2009 web track (2009).
    """
    order = _order(scores, subtopics, item_weights)
    covered = (order.labels >= 1).double()
    places = order.lengths if k is None else order.lengths.clamp(max=k)
    hits = order.total(order.shared(covered.sum(dim=1)) * _within(order, k))
    return hits / (places * (order.total(covered) > 0).sum(dim=1))


def _order(scores: Ragged, subtopics: Tensor, item_weights: Tensor | None) -> ScoredOrder:
    if subtopics.ndim != 2:
        raise ShapeError(
            f"subtopics are {tuple(subtopics.shape)}",
            remedy="pass [total, num_subtopics], one column a subtopic",
        )
    return ScoredOrder(scores, subtopics, item_weights)


def _within(order: ScoredOrder, k: int | None) -> Tensor:
    if k is None:
        return torch.ones_like(order.weights)
    check_cutoffs([k])
    return (order.ranks <= k).double()


def _defined(order: ScoredOrder, values: Tensor) -> Tensor:
    return torch.where(order.total(order.labels).sum(dim=1) > 0, values, torch.nan)
