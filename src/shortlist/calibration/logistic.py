"""Calibration by one or two numbers: temperature and Platt's scaling."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from shortlist.calibration.calibrator import Array, Calibrator, sigmoid, softened
from shortlist.errors import DataError

MOST_STEPS = 100  # Newton's; a handful is the rule


class Temperature(Calibrator):
    """`sigmoid(score / temperature)`: for logits that are too sure, or not sure enough.

    A logit of 0 stays a probability of a half, so it mends the logits of a model that was trained on clicks,
    not the scores of a loss over lists, whose level is free.

    Source: Guo et al., On calibration of modern neural networks (ICML 2017).
    """

    array_names: ClassVar[tuple[str, ...]] = ("temperature",)

    @property
    def temperature(self) -> float:
        """What scores are divided by."""
        return float(self.arrays["temperature"][0])

    def _learn(self, scores: Array, labels: Array, weights: Array) -> dict[str, Array]:
        scale = float(np.sqrt(np.average(scores**2, weights=weights)))
        if not scale > 0:
            raise DataError("all scores are 0", remedy="calibrate scores that tell examples apart")
        slope = _fit(scores[:, None] / scale, softened(labels, weights), weights)[0]
        _check_rises(slope)
        return {"temperature": np.array([scale / slope])}

    def _apply(self, scores: Array) -> Array:
        return sigmoid(scores / self.temperature)

    def _is_sound(self) -> bool:
        return self.arrays["temperature"].shape == (1,) and self.temperature > 0


class Platt(Calibrator):
    """`sigmoid(slope * score + shift)`: for scores of any level and unit, and few labels.

    Source: Platt, Probabilistic outputs for support vector machines (1999); Lin, Lin and Weng, A note on
    Platt's probabilistic outputs (2007).
    """

    array_names: ClassVar[tuple[str, ...]] = ("slope", "shift")

    @property
    def slope(self) -> float:
        """What scores are multiplied with."""
        return float(self.arrays["slope"][0])

    @property
    def shift(self) -> float:
        """What is added to the product."""
        return float(self.arrays["shift"][0])

    def _learn(self, scores: Array, labels: Array, weights: Array) -> dict[str, Array]:
        standard, mean, scale = standardised(scores, weights)
        design = np.stack([standard, np.ones_like(standard)], axis=1)
        slope, shift = _fit(design, softened(labels, weights), weights)
        _check_rises(slope)
        return {"slope": np.array([slope / scale]), "shift": np.array([shift - slope * mean / scale])}

    def _apply(self, scores: Array) -> Array:
        return sigmoid(self.slope * scores + self.shift)

    def _is_sound(self) -> bool:
        return all(array.shape == (1,) for array in self.arrays.values()) and self.slope > 0


def standardised(scores: Array, weights: Array) -> tuple[Array, float, float]:
    """Scores of mean 0 and deviation 1, with the mean and the deviation that they had.

    Raises:
        DataError: all scores are equal.
    """
    mean = float(np.average(scores, weights=weights))
    scale = float(np.sqrt(np.average((scores - mean) ** 2, weights=weights)))
    if not scale > 1e-12 * float(np.abs(scores).max()):
        raise DataError(
            f"all scores are {float(scores[0]):g}", remedy="calibrate scores that tell examples apart"
        )
    return (scores - mean) / scale, mean, scale


def _fit(design: Array, targets: Array, weights: Array) -> Array:
    """Logistic regression by Newton's method, with halved steps where a whole one goes too far."""
    found = np.zeros(design.shape[1])
    loss = _loss(design @ found, targets, weights)
    for _ in range(MOST_STEPS):
        chances = sigmoid(design @ found)
        gradient = design.T @ (weights * (chances - targets))
        curvature = (design * (weights * chances * (1 - chances))[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-12 * np.trace(curvature) * np.eye(len(found)), gradient)
        size, gain = 1.0, float(gradient @ step) / 2
        if gain < 1e-9 * loss:  # a whole step squares what is missing, and rounding is all that is left then
            return found - step
        while (lower := _loss(design @ (found - size * step), targets, weights)) > loss and size > 1e-8:
            size /= 2
        found, loss = found - size * step, lower
    return found


def _loss(logits: Array, targets: Array, weights: Array) -> float:
    return float(weights @ (np.logaddexp(0.0, logits) - targets * logits))


def _check_rises(slope: float) -> None:
    if not slope > 0:
        raise DataError(
            "labels do not rise with the scores",
            remedy="check the scores' sign and that they belong to these labels; Isotonic and Spline would "
            "answer the mean rate",
        )
