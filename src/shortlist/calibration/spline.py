"""Calibration by a smooth function that does not fall."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from shortlist.calibration.calibrator import Array, Calibrator, sigmoid, softened
from shortlist.calibration.logistic import standardised

PIECES = 8  # of the curve, each with as many examples
DEGREE = 3


class Spline(Calibrator):
    """A smooth curve for the logit: a cubic spline that never falls, eight pieces of as many examples each.

    It maximises the likelihood of the labels under a prior that the slope changes little from one piece to
    the next (by a standard deviation of 1, in logits for a deviation of the scores): with few labels it is
    near Platt's line, with many it goes where they lead. Beyond the examples it goes on in a straight line.

    Source: Ramsay, Monotone regression splines in action (1988); Eilers and Marx, Flexible smoothing with
    B-splines and penalties (1996).
    """

    array_names: ClassVar[tuple[str, ...]] = ("bounds", "pieces")

    def _learn(self, scores: Array, labels: Array, weights: Array) -> dict[str, Array]:
        from scipy.interpolate import BSpline, PPoly  # here: they take as long to import as all else

        standard, mean, scale = standardised(scores, weights)
        bounds = np.unique(np.quantile(standard, np.linspace(0, 1, PIECES + 1)))
        knots = np.concatenate([[bounds[0]] * DEGREE, bounds, [bounds[-1]] * DEGREE])
        rise = _rises(knots)
        design = BSpline.design_matrix(standard, knots, DEGREE) @ rise
        found = _fit(design, softened(labels, weights), weights)
        curve = PPoly.from_spline(BSpline(knots, rise @ found, DEGREE))
        powers = np.arange(DEGREE, -1, -1)[:, None]
        return {
            "bounds": mean + scale * bounds,
            "pieces": np.ascontiguousarray(curve.c[:, DEGREE:-DEGREE] / scale**powers),
        }

    def _apply(self, scores: Array) -> Array:
        bounds, pieces = self.arrays["bounds"], self.arrays["pieces"]
        inside = np.clip(scores, bounds[0], bounds[-1])
        number = np.clip(np.searchsorted(bounds, inside, side="right") - 1, 0, len(bounds) - 2)
        along, chosen = inside - bounds[number], pieces[:, number]
        logits = ((chosen[0] * along + chosen[1]) * along + chosen[2]) * along + chosen[3]
        for end, slope in zip((bounds[0], bounds[-1]), self.end_slopes(), strict=True):
            if slope > 0:  # else an infinite score would give 0 * infinity
                beyond = np.minimum(scores - end, 0) if end == bounds[0] else np.maximum(scores - end, 0)
                logits = logits + slope * beyond
        return sigmoid(logits)

    def end_slopes(self) -> tuple[float, float]:
        """The slopes of the straight lines before the first piece and behind the last."""
        bounds, pieces = self.arrays["bounds"], self.arrays["pieces"]
        width = bounds[-1] - bounds[-2]
        last = (3 * pieces[0, -1] * width + 2 * pieces[1, -1]) * width + pieces[2, -1]
        return float(pieces[2, 0]), float(last)

    def _is_sound(self) -> bool:
        bounds, pieces = self.arrays["bounds"], self.arrays["pieces"]
        if not (bounds.ndim == 1 and len(bounds) > 1 and pieces.shape == (DEGREE + 1, len(bounds) - 1)):
            return False
        if not (np.diff(bounds) > 0).all():
            return False
        # A cubic may fall between any two points, so points close together are looked at.
        places = np.linspace(0, len(bounds) - 1, 64 * len(bounds))
        chances = self._apply(np.interp(places, np.arange(len(bounds)), bounds))
        return bool(np.isfinite(chances).all() and (np.diff(chances) >= -1e-9).all())


def _rises(knots: Array) -> Array:
    """From the first B-spline coefficient and the slopes between their places to all coefficients.

    A spline whose coefficients do not fall does not fall.
    """
    places = np.convolve(knots[1:-1], np.ones(DEGREE) / DEGREE, mode="valid")  # Greville's abscissae
    lower = np.tril(np.ones((len(places), len(places) - 1)), k=-1) * np.diff(places)
    return np.concatenate([np.ones((len(places), 1)), lower], axis=1)


def _fit(design: Array, targets: Array, weights: Array) -> Array:
    """The level and the slopes, none negative, of the greatest posterior density."""
    from scipy.optimize import minimize

    def posterior(numbers: Array) -> tuple[float, Array]:
        logits = design @ numbers
        bends = np.diff(numbers[1:])
        loss = weights @ (np.logaddexp(0.0, logits) - targets * logits) + bends @ bends / 2
        gradient = design.T @ (weights * (sigmoid(logits) - targets))
        gradient[1:-1] -= bends
        gradient[2:] += bends
        return float(loss), gradient

    rate = float(np.average(targets, weights=weights))
    start = np.ones(design.shape[1])
    start[0] = np.log(rate / (1 - rate)) - 1
    bounds = [(None, None)] + [(0, None)] * (len(start) - 1)
    settings = {"maxiter": 1000, "maxfun": 10_000, "ftol": 1e-12, "gtol": 1e-6}
    found = minimize(posterior, start, jac=True, method="L-BFGS-B", bounds=bounds, options=settings)
    return np.asarray(found.x)
