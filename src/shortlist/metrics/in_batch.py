"""Accuracy within a training batch: cheap, and only a hint of the accuracy over the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from shortlist.errors import ShapeError
from shortlist.metrics.streaming import StreamingMeans, check_cutoffs, flat_numbers, row_weights
from shortlist.metrics.ties import expected_hit_rates, rank_columns


class InBatchTopK(StreamingMeans):
    """How often the positive is among the k highest scores of its own batch: `in_batch_hit_rate@k`.

    Ties are exact, as in `FactorizedTopK`. The figure depends on the batch's size and its negatives, so
    compare it within one run only.

    Args:
        ks: cut-offs.

    Raises:
        ConfigError: a cut-off is not a positive integer.
    """

    def __init__(self, *, ks: Iterable[int] = (1, 5, 10)) -> None:
        self.ks = check_cutoffs(ks)
        super().__init__(f"in_batch_hit_rate@{k}" for k in self.ks)

    def update(self, scores: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            scores: `[batch, width]` float.
            labels: `[batch, width]`, 1 at each row's positive and 0 elsewhere.
            sample_weight: `[batch]` non-negative.

        Raises:
            DataError: a score is not a number or a weight is negative.
            ShapeError: the shapes do not fit together.
        """
        if scores.ndim != 2 or scores.shape != labels.shape:
            raise ShapeError(
                f"scores are {tuple(scores.shape)} but labels are {tuple(labels.shape)}",
                remedy="pass [batch, width] for both",
            )
        values = flat_numbers(scores, "scores").reshape(scores.shape)
        positives = (
            (labels > 0).int().argmax(dim=1) if labels.numel() else labels.new_zeros(len(labels)).long()
        )
        ranks = rank_columns(values, positives, None)
        weight = row_weights(sample_weight, len(scores), scores.device)
        self._add(expected_hit_rates(ranks, self.ks), weight)
