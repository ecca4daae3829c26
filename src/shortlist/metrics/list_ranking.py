"""Streaming means of the metrics of scored lists."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.metrics.scored_lists import ScoredLists
from shortlist.metrics.streaming import StreamingMeans, check_cutoffs, row_weights

_NAMES = ("ndcg", "mrr", "map", "precision", "recall", "hit_rate")


class ListRankingMetrics(StreamingMeans):
    """Streaming means of NDCG, MRR, MAP, precision, recall and hit rate of lists with scores and labels.

    The figures are `ndcg@k`, `mrr@k`, `map@k`, `precision@k`, `recall@k` and `hit_rate@k` for each k. A list
    without a relevant item, of label 1 or more, changes nothing.

    Args:
        ks: cut-offs.

    Raises:
        ConfigError: a cut-off is not a positive integer.
    """

    def __init__(self, *, ks: Iterable[int] = (1, 5, 10)) -> None:
        self.ks = check_cutoffs(ks)
        super().__init__(f"{name}@{k}" for name in _NAMES for k in self.ks)

    def update(
        self,
        scores: Ragged,
        labels: Tensor,
        *,
        item_weights: Tensor | None = None,
        list_weights: Tensor | None = None,
    ) -> None:
        """Add a batch of lists.

        Args:
            scores: lists of `[total]` scores.
            labels: `[total]`, 0 or more.
            item_weights: `[total]`, 0 or more; an item of weight 0 is not there.
            list_weights: `[lists]`, 0 or more.

        Raises:
            DataError: a score is not a number, or a label or weight is negative or not a number.
            ShapeError: the arguments do not fit together.
        """
        lists = ScoredLists(scores, labels, item_weights=item_weights)
        weights = row_weights(list_weights, len(lists), labels.device)
        metrics = (
            lists.ndcg,
            lists.reciprocal_rank,
            lists.average_precision,
            lists.precision,
            lists.recall,
            lists.hit_rate,
        )
        values = torch.stack([metric(k=k) for metric in metrics for k in self.ks])
        defined = ~values.isnan().any(dim=0)
        self._add(values[:, defined], weights[defined])
