"""What every calibrator is: a function from scores to probabilities that never falls, learned from labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.errors import DataError, NotFittedError, ShapeError
from shortlist.metrics.streaming import flat_numbers, spread_weights

Array = NDArray[np.float64]


class Calibrator(ABC):
    """A function from scores to probabilities that never falls: the order of the scores is kept.

    `fit` it on scores and labels that the model has not learned from, then call it on any scores.
    """

    array_names: ClassVar[tuple[str, ...]]
    """What `fit` learns, by name."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def fit(self, scores: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> Self:
        """Learn how often scores come true.

        Args:
            scores: any shape, finite; a model's logits, say, of examples that it has not learned from.
            labels: the same shape, from 0 to 1.
            sample_weight: `[rows]` or the same shape, non-negative; None weighs all examples alike.

        Returns:
            The calibrator itself.

        Raises:
            DataError: a score, a label or a weight is out of its range, all labels are 0 or all are 1, or
                the scores say nothing that this calibrator could use.
            ShapeError: the arguments do not fit together.
        """
        self.arrays = self._learn(*_checked(scores, labels, sample_weight))
        return self

    def __call__(self, scores: Tensor) -> Tensor:
        """The probabilities of some scores.

        Args:
            scores: any shape; NaN stays NaN.

        Returns:
            Probabilities of the same shape on the same device, float64 where the scores are, else float32.

        Raises:
            NotFittedError: it was not fitted.
        """
        if not self.arrays:
            raise NotFittedError(
                f"{type(self).__name__} has seen no labels yet", remedy="call fit(scores, labels) first"
            )
        values = scores.detach().to("cpu", torch.float64).numpy()
        dtype = torch.float64 if scores.dtype == torch.float64 else torch.float32
        return torch.from_numpy(np.asarray(self._apply(values))).to(scores.device, dtype)

    @abstractmethod
    def _learn(self, scores: Array, labels: Array, weights: Array) -> dict[str, Array]:
        """The arrays of `array_names`, from flat examples of positive weight, both labels among them."""

    @abstractmethod
    def _apply(self, scores: Array) -> Array:
        """The probabilities of scores of any shape."""

    @abstractmethod
    def _is_sound(self) -> bool:
        """Whether arrays that were read from a file, finite and of the right names, are a calibrator's."""


def sigmoid(logits: Array) -> Array:
    """`1 / (1 + exp(-logits))`, with all its digits at both ends and no overflow."""
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))


def softened(labels: Array, weights: Array) -> Array:
    """Labels a little within 0 and 1, as if one more example of each class had been seen with either label.

    Without that, scores that tell the classes apart without a fault would call for infinite certainty.

    Args:
        labels: `[n]` from 0 to 1.
        weights: `[n]` positive.

    Returns:
        `[n]`.

    Source: Platt, Probabilistic outputs for support vector machines (1999).
    """
    low, high = certainty(labels, weights)
    return low + labels * (high - low)


def certainty(labels: Array, weights: Array) -> tuple[float, float]:
    """The least and the greatest probability that so many examples can vouch for.

    Args:
        labels: `[n]` from 0 to 1.
        weights: `[n]` positive.

    Returns:
        `1 / (negatives + 2)` and `(positives + 1) / (positives + 2)`.
    """
    positives = float(weights @ labels)
    negatives = float(weights.sum()) - positives
    return 1 / (negatives + 2), (positives + 1) / (positives + 2)


def _checked(scores: Tensor, labels: Tensor, weight: Tensor | None) -> tuple[Array, Array, Array]:
    if scores.shape != labels.shape:
        raise ShapeError(
            f"scores are {tuple(scores.shape)} but labels are {tuple(labels.shape)}",
            remedy="reshape one of them, for example scores.squeeze(-1)",
        )
    values, truth = flat_numbers(scores, "scores"), flat_numbers(labels, "labels")
    if not bool(values.isfinite().all()):
        raise DataError("a score is infinite", remedy="drop it, or find where the model overflowed")
    if not bool(((truth >= 0) & (truth <= 1)).all()):
        wrong = float(truth[(truth < 0) | (truth > 1)][0])
        raise DataError(
            f"a label is {wrong}, outside [0, 1]", remedy="pass 0 and 1, for example (ratings >= 4)"
        )
    weights = spread_weights(weight, scores)
    counted = weights > 0
    found = [part[counted].cpu().numpy() for part in (values, truth, weights)]
    for name, there in (("1", found[1] > 0), ("0", found[1] < 1)):
        if not there.any():
            raise DataError(
                f"none of the {len(found[1])} labels is {name}, so there is no rate to learn",
                remedy="calibrate on more examples, of both labels",
            )
    return found[0], found[1], found[2]
