"""Listwise ranking: put the items of each list in the right order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, did_you_mean
from shortlist.losses import ListLosses, softmax
from shortlist.losses.lists.inputs import are_finite

Average = Literal["lists", "comparisons"]
AVERAGES: tuple[Average, ...] = ("lists", "comparisons")


class ListMetric(Protocol):
    """A metric of scored lists, such as `metrics.ListRankingMetrics`."""

    def update(
        self,
        scores: Ragged,
        labels: Tensor,
        *,
        item_weights: Tensor | None = None,
        list_weights: Tensor | None = None,
    ) -> None:
        """Add a batch of lists."""


class ListwiseRanking(nn.Module):
    """The loss of a model that scores lists of items.

    Args:
        loss: a function of lists of scores and labels, such as `losses.softmax` or, for LambdaLoss,
            `functools.partial(losses.pairwise_logistic, lambda_weight=losses.DCGWeight())`.
        average: `"lists"` counts all lists alike; `"comparisons"` counts each by what it has to compare, so
            that long lists count more.
        metrics: updated with `(scores, labels, item_weights=, list_weights=)` at every call.

    Raises:
        ConfigError: the average is unknown.
    """

    def __init__(
        self,
        *,
        loss: Callable[..., ListLosses] = softmax,
        average: Average = "lists",
        metrics: Sequence[ListMetric] = (),
    ) -> None:
        super().__init__()
        if average not in AVERAGES:
            raise ConfigError(f"average {average!r} is unknown", remedy=did_you_mean(average, AVERAGES))
        self.loss, self.average, self.metrics = loss, average, list(metrics)

    def forward(
        self,
        scores: Ragged,
        labels: Tensor,
        *,
        item_weights: Tensor | None = None,
        list_weights: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, a weighted mean.

        Args:
            scores: one row a list, `[total]` scores (or as many numbers an item as the loss takes).
            labels: `[total]`, 0 or more.
            item_weights: `[total]`, 0 or more; None weighs all items alike.
            list_weights: `[lists]`, 0 or more; None weighs all lists alike.

        Returns:
            Scalar; 0 for a batch that teaches nothing, NaN where a score is not finite, which `fit` reports.

        Raises:
            ConfigError: a setting of the loss is out of its range.
            DataError: a label or a weight is negative or not a finite number.
            ShapeError: the arguments do not fit together.
        """
        if not are_finite(scores.values):
            return scores.values.sum() * torch.nan
        weights: dict[str, Any] = {"item_weights": item_weights, "list_weights": list_weights}
        found = Ragged(scores.values.detach(), scores.offsets)
        for metric in self.metrics:
            metric.update(found, labels, **weights)
        if self.average == "comparisons":
            return self.loss(scores, labels, **weights).mean()
        return self.loss(scores, labels, item_weights=item_weights).list_mean(list_weights)
