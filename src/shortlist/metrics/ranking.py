"""Metrics of ranked lists against any number of relevant items, which may be graded.

A ranked list is a row of item indices, best first, padded with 0. Every function answers one number a row
and NaN for a row without relevant items, whose metric is not defined; `RankingMetrics` leaves such rows out
of its means. An item ranked twice counts once, at its better place; 0 is never relevant; a list shorter
than k is a list whose missing places hold nothing relevant.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.metrics.matching import Matches, match
from shortlist.metrics.streaming import StreamingMeans, check_cutoffs, row_weights

_NAMES = ("hit_rate", "recall", "precision", "ndcg", "mrr", "map")


def hit_rate(ranked: Tensor, relevant: Ragged, *, k: int) -> Tensor:
    """Whether any relevant item is among the first k.

    Args:
        ranked: `[rows, width]` int64 item indices, best first, 0 where the list has ended.
        relevant: `rows` rows of int64 item indices, any order.
        k: cut-off.

    Returns:
        `[rows]` float64, 0 or 1; NaN without relevant items.

    Raises:
        ConfigError: `k` is not positive.
        DataError: an item index is negative.
        ShapeError: the arguments have different numbers of rows.
    """
    return _hit_rate(match(ranked, relevant, k=k), k)


def recall(ranked: Tensor, relevant: Ragged, *, k: int) -> Tensor:
    """The share of the relevant items that is among the first k.

    Args:
        ranked: `[rows, width]` int64 item indices, best first, 0 where the list has ended.
        relevant: `rows` rows of int64 item indices, any order.
        k: cut-off.

    Returns:
        `[rows]` float64 in [0, 1]; NaN without relevant items.

    Raises:
        ConfigError: `k` is not positive.
        DataError: an item index is negative.
        ShapeError: the arguments have different numbers of rows.
    """
    return _recall(match(ranked, relevant, k=k), k)


def precision(ranked: Tensor, relevant: Ragged, *, k: int) -> Tensor:
    """The share of the first k places that hold a relevant item; a short list is not forgiven.

    Args:
        ranked: `[rows, width]` int64 item indices, best first, 0 where the list has ended.
        relevant: `rows` rows of int64 item indices, any order.
        k: cut-off.

    Returns:
        `[rows]` float64 in [0, 1]; NaN without relevant items.

    Raises:
        ConfigError: `k` is not positive.
        DataError: an item index is negative.
        ShapeError: the arguments have different numbers of rows.
    """
    return _precision(match(ranked, relevant, k=k), k)


def ndcg(ranked: Tensor, relevant: Ragged, *, k: int, grades: Tensor | None = None) -> Tensor:
    """Discounted cumulative gain of the first k over that of the best possible order.

    An item's gain is `2^grade - 1` and its discount `1 / log2(1 + rank)`.

    Args:
        ranked: `[rows, width]` int64 item indices, best first, 0 where the list has ended.
        relevant: `rows` rows of int64 item indices, any order.
        k: cut-off.
        grades: `[total]` the grade of each relevant item, any size; an item graded 0 or less is not relevant.
            None grades all 1.

    Returns:
        `[rows]` float64 in [0, 1]; NaN without relevant items.

    Raises:
        ConfigError: `k` is not positive.
        DataError: an item index is negative or a grade is not finite.
        ShapeError: the arguments do not fit together.

    Source: Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques (2002), with the gain
    of Burges et al., Learning to rank using gradient descent (2005).
    """
    return _ndcg(match(ranked, relevant, k=k, grades=grades), k)


def reciprocal_rank(ranked: Tensor, relevant: Ragged, *, k: int) -> Tensor:
    """One over the rank of the first relevant item among the first k, 0 if there is none.

    Args:
        ranked: `[rows, width]` int64 item indices, best first, 0 where the list has ended.
        relevant: `rows` rows of int64 item indices, any order.
        k: cut-off.

    Returns:
        `[rows]` float64 in [0, 1], whose mean is MRR; NaN without relevant items.

    Raises:
        ConfigError: `k` is not positive.
        DataError: an item index is negative.
        ShapeError: the arguments have different numbers of rows.
    """
    return _reciprocal_rank(match(ranked, relevant, k=k), k)


def average_precision(ranked: Tensor, relevant: Ragged, *, k: int) -> Tensor:
    """Precision at the rank of each relevant item of the first k, over `min(k, relevant items)`.

    So a list that begins with nothing but relevant items scores 1 whatever k is.

    Args:
        ranked: `[rows, width]` int64 item indices, best first, 0 where the list has ended.
        relevant: `rows` rows of int64 item indices, any order.
        k: cut-off.

    Returns:
        `[rows]` float64 in [0, 1], whose mean is MAP; NaN without relevant items.

    Raises:
        ConfigError: `k` is not positive.
        DataError: an item index is negative.
        ShapeError: the arguments have different numbers of rows.
    """
    return _average_precision(match(ranked, relevant, k=k), k)


class RankingMetrics(StreamingMeans):
    """Streaming means of hit rate, recall, precision, NDCG, MRR and MAP at several cut-offs.

    The figures are `hit_rate@k`, `recall@k`, `precision@k`, `ndcg@k`, `mrr@k` and `map@k` for each k.

    Args:
        ks: cut-offs.

    Raises:
        ConfigError: a cut-off is not a positive integer.
    """

    def __init__(self, *, ks: Iterable[int] = (10, 100)) -> None:
        self.ks = check_cutoffs(ks)
        super().__init__(f"{name}@{k}" for name in _NAMES for k in self.ks)

    def update(
        self,
        ranked: Tensor,
        relevant: Ragged,
        *,
        grades: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Add a batch of lists; a row without relevant items changes nothing.

        Args:
            ranked: `[rows, width]` int64 item indices, best first, 0 where the list has ended.
            relevant: `rows` rows of int64 item indices, any order.
            grades: `[total]` the grade of each relevant item, or None for 1.
            sample_weight: `[rows]` non-negative.

        Raises:
            DataError: an item index is negative, a grade is not finite, or a weight is negative.
            ShapeError: the arguments do not fit together.
        """
        matches = match(ranked, relevant, k=max(self.ks), grades=grades)
        weight = row_weights(sample_weight, len(ranked), ranked.device)
        metrics = (_hit_rate, _recall, _precision, _ndcg, _reciprocal_rank, _average_precision)
        values = torch.stack([metric(matches, k) for metric in metrics for k in self.ks])
        defined = matches.num_relevant > 0
        self._add(values[:, defined], weight[defined])


def _hit_rate(matches: Matches, k: int) -> Tensor:
    return _defined(matches, matches.hits[:, :k].amax(dim=1))


def _recall(matches: Matches, k: int) -> Tensor:
    return matches.hits[:, :k].sum(dim=1) / matches.num_relevant


def _precision(matches: Matches, k: int) -> Tensor:
    return _defined(matches, matches.hits[:, :k].sum(dim=1) / k)


def _ndcg(matches: Matches, k: int) -> Tensor:
    ranks = torch.arange(1, k + 1, dtype=torch.float64, device=matches.gains.device)
    discounts = 1 / torch.log2(ranks + 1)
    return (matches.gains[:, :k] @ discounts) / (matches.ideal_gains[:, :k] @ discounts)


def _reciprocal_rank(matches: Matches, k: int) -> Tensor:
    ranks = torch.arange(1, k + 1, dtype=torch.float64, device=matches.hits.device)
    return _defined(matches, (matches.hits[:, :k] / ranks).amax(dim=1))


def _average_precision(matches: Matches, k: int) -> Tensor:
    hits = matches.hits[:, :k]
    ranks = torch.arange(1, k + 1, dtype=torch.float64, device=hits.device)
    return (hits * hits.cumsum(dim=1) / ranks).sum(dim=1) / matches.num_relevant.clamp(max=k)


def _defined(matches: Matches, values: Tensor) -> Tensor:
    return torch.where(matches.num_relevant > 0, values, torch.nan)
