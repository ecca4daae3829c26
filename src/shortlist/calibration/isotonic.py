"""Calibration by a function that does not fall and is otherwise free."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from shortlist.calibration.calibrator import Array, Calibrator, certainty


class Isotonic(Calibrator):
    """The function that fits the labels best among all that never fall: steps, joined by straight lines.

    Equal scores count as one with their mean label. Between two examples the probability is interpolated;
    beyond them it is that of the nearest. Where all labels below (or above) some score are alike, the answer
    is not 0 (or 1) but what so many examples can vouch for, lest one surprise cost an infinite loss.

    It wants a thousand labels or more, and gives many scores one probability. `Spline` is smooth.

    Source: Zadrozny and Elkan, Transforming classifier scores into accurate multiclass probability estimates
    (KDD 2002).
    """

    array_names: ClassVar[tuple[str, ...]] = ("scores", "probabilities")

    def _learn(self, scores: Array, labels: Array, weights: Array) -> dict[str, Array]:
        from scipy.optimize import isotonic_regression  # here, since it takes as long to import as all else

        values, places = np.unique(scores, return_inverse=True)
        totals = np.bincount(places, weights)
        fitted = isotonic_regression(np.bincount(places, weights * labels) / totals, weights=totals)
        # The ends of each step say all.
        ends = np.unique(np.concatenate([fitted.blocks[:-1], fitted.blocks[1:] - 1]))
        low, high = certainty(labels, weights)
        return {"scores": values[ends], "probabilities": np.clip(fitted.x[ends], low, high)}

    def _apply(self, scores: Array) -> Array:
        return np.asarray(np.interp(scores, self.arrays["scores"], self.arrays["probabilities"]))

    def _is_sound(self) -> bool:
        scores, chances = self.arrays["scores"], self.arrays["probabilities"]
        return (
            scores.ndim == 1
            and len(scores) > 0
            and scores.shape == chances.shape
            and bool((np.diff(scores) > 0).all() and (np.diff(chances) >= 0).all())
            and bool(chances[0] >= 0 and chances[-1] <= 1)
        )
