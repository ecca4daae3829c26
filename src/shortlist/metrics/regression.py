"""Metrics of numbers: ratings, and means of anything."""

from __future__ import annotations

import math

from torch import Tensor

from shortlist.errors import ShapeError
from shortlist.metrics.streaming import StreamingMeans, flat_numbers, spread_weights


class RMSE(StreamingMeans):
    """Streaming root mean squared error: `rmse`, in the labels' unit."""

    def __init__(self) -> None:
        super().__init__(["rmse"])

    def update(self, predictions: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            predictions: any shape, float.
            labels: the same shape.
            sample_weight: the same shape or `[rows]`, non-negative.

        Raises:
            DataError: a prediction or a label is not a number, or a weight is negative.
            ShapeError: the shapes do not fit together.
        """
        if predictions.shape != labels.shape:
            raise ShapeError(
                f"predictions are {tuple(predictions.shape)} but labels are {tuple(labels.shape)}",
                remedy="reshape one of them, for example predictions.squeeze(-1)",
            )
        errors = flat_numbers(predictions, "predictions") - flat_numbers(labels, "labels")
        self._add(errors.square()[None], spread_weights(sample_weight, predictions))

    def compute(self) -> dict[str, float]:
        """The figure over everything since the last reset.

        Returns:
            `rmse`; NaN when nothing was seen.
        """
        return {"rmse": math.sqrt(super().compute()["rmse"])}


class Mean(StreamingMeans):
    """Streaming mean of a value, such as the predictions or the labels of a ranking task.

    Args:
        name: of the figure.
    """

    def __init__(self, name: str = "mean") -> None:
        super().__init__([name])

    def update(self, values: Tensor, *, sample_weight: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            values: any shape.
            sample_weight: the same shape or `[rows]`, non-negative.

        Raises:
            DataError: a value is not a number or a weight is negative.
            ShapeError: the shapes do not fit together.
        """
        self._add(flat_numbers(values, self.names[0])[None], spread_weights(sample_weight, values))
