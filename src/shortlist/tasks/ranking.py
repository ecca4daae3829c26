"""Ranking: predict a click or a rating, one number an example."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from shortlist.errors import ShapeError
from shortlist.losses import binary_cross_entropy_with_logits, weighted_mean
from shortlist.metrics import Metric


class Ranking(nn.Module):
    """The loss of a model that scores one item at a time.

    Args:
        loss: a function of predictions and labels of one shape that answers losses of that shape; clicks'
            logits by default, `losses.squared_error` for ratings.
        metrics: updated with `(predictions, labels, sample_weight=)` at every call.
        prediction_metrics: updated with `(predictions, sample_weight=)`, such as `Mean("prediction")`.
        label_metrics: updated with `(labels, sample_weight=)`.
    """

    def __init__(
        self,
        *,
        loss: Callable[[Tensor, Tensor], Tensor] = binary_cross_entropy_with_logits,
        metrics: Sequence[Metric] = (),
        prediction_metrics: Sequence[Metric] = (),
        label_metrics: Sequence[Metric] = (),
    ) -> None:
        super().__init__()
        self.loss = loss
        self.metrics = list(metrics)
        self.prediction_metrics = list(prediction_metrics)
        self.label_metrics = list(label_metrics)

    def forward(self, predictions: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> Tensor:
        """The loss of a batch, a weighted mean.

        Args:
            predictions: `[batch]` or `[batch, 1]` float.
            labels: the same shape.
            sample_weight: `[batch]` or the same shape, non-negative; None weighs all examples alike.

        Returns:
            Scalar `sum(weight * loss) / sum(weight)`.

        Raises:
            ShapeError: the arguments do not fit together.
        """
        if predictions.shape != labels.shape:
            raise ShapeError(
                f"predictions are {tuple(predictions.shape)} but labels are {tuple(labels.shape)}",
                remedy="reshape one of them, for example predictions.squeeze(-1)",
            )
        for metric in self.metrics:
            metric.update(predictions.detach(), labels, sample_weight=sample_weight)
        for metric in self.prediction_metrics:
            metric.update(predictions.detach(), sample_weight=sample_weight)
        for metric in self.label_metrics:
            metric.update(labels, sample_weight=sample_weight)
        return weighted_mean(self.loss(predictions, labels), sample_weight)
