"""Losses of one prediction against one label: ratings and clicks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from shortlist.errors import ConfigError, DataError, ShapeError


def squared_error(predictions: Tensor, labels: Tensor) -> Tensor:
    """Squared difference, for ratings.

    Args:
        predictions: float, any shape.
        labels: the same shape.

    Returns:
        Losses of the same shape, float32 or float64.

    Raises:
        ShapeError: the shapes differ.
    """
    predictions, labels = _aligned(predictions, labels)
    return (predictions - labels).square()


def huber(predictions: Tensor, labels: Tensor, *, delta: float = 1.0) -> Tensor:
    """Squared near the label and linear beyond, for ratings with outliers.

    Args:
        predictions: float, any shape.
        labels: the same shape.
        delta: the distance at which `error² / 2` becomes `delta * (|error| - delta / 2)`; positive.

    Returns:
        Losses of the same shape, float32 or float64.

    Raises:
        ConfigError: `delta` is not positive.
        ShapeError: the shapes differ.

    Source: Huber, Robust estimation of a location parameter (1964).
    """
    if not delta > 0:
        raise ConfigError(f"delta is {delta}", remedy="pass a positive distance such as 1.0")
    predictions, labels = _aligned(predictions, labels)
    return functional.huber_loss(predictions, labels, reduction="none", delta=delta)


def binary_cross_entropy_with_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood of clicks under `sigmoid(logits)`; finite at any finite logit.

    Args:
        logits: float, any shape.
        labels: the same shape, in [0, 1].

    Returns:
        Losses of the same shape in nats, float32 or float64.

    Raises:
        ShapeError: the shapes differ.
    """
    logits, labels = _aligned(logits, labels)
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def binary_cross_entropy(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood of clicks under given probabilities.

    Prefer `binary_cross_entropy_with_logits` in training: a probability that rounds to 0 or 1 carries no
    gradient worth having. Here such a loss is cut off at 100 nats.

    Args:
        probabilities: float in [0, 1], any shape.
        labels: the same shape, in [0, 1].

    Returns:
        Losses of the same shape in nats, float32 or float64.

    Raises:
        DataError: a probability or a label is outside [0, 1] or not a number.
        ShapeError: the shapes differ.
    """
    probabilities, labels = _aligned(probabilities, labels)
    for name, values in (("probability", probabilities), ("label", labels)):
        if values.numel() and not bool(((values >= 0) & (values <= 1)).all()):
            wrong = values[~((values >= 0) & (values <= 1))][0].item()
            raise DataError(
                f"a {name} is {wrong}, outside [0, 1]",
                remedy="use binary_cross_entropy_with_logits for raw scores, and scale labels to [0, 1]",
            )
    return functional.binary_cross_entropy(probabilities, labels, reduction="none")


def at_least_float32(values: Tensor) -> Tensor:
    """Widen half precision, integers and booleans, because sums of losses need the digits.

    Args:
        values: any dtype.

    Returns:
        The same values, float64 where they were, else float32.
    """
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


def _aligned(predictions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    # [batch] against [batch, 1] would broadcast to [batch, batch] and train on nonsense.
    if predictions.shape != labels.shape:
        raise ShapeError(
            f"predictions are {tuple(predictions.shape)} but labels are {tuple(labels.shape)}",
            remedy="reshape one of them, for example predictions.squeeze(-1)",
        )
    predictions = at_least_float32(predictions)
    return predictions, labels.to(predictions.dtype)
