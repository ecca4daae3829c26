"""Calibrators as functions of tensors alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shortlist.calibration import Calibrator, Isotonic, Platt, Spline, Temperature
from shortlist.errors import ConfigError


class DenseLogistic(nn.Module):
    """`sigmoid(slope * score + shift)`.

    Args:
        slope: what scores are multiplied with.
        shift: what is added.
    """

    def __init__(self, slope: float, shift: float) -> None:
        super().__init__()
        self.slope, self.shift = slope, shift

    def forward(self, scores: Tensor) -> Tensor:
        """`[n]` to the same."""
        return torch.sigmoid(scores * self.slope + self.shift)


class DensePieces(nn.Module):
    """A curve in pieces, each a cubic of the distance from its beginning.

    Args:
        bounds: `[pieces + 1]` where pieces begin, and where the last one ends.
        powers: `[4, pieces]` from the cube's factor to the constant.
        slopes: of the straight lines before and behind.
        logits: whether the curve is of logits, not of probabilities.
    """

    bounds: Tensor
    powers: Tensor

    def __init__(
        self, bounds: Tensor, powers: Tensor, *, slopes: tuple[float, float] = (0.0, 0.0), logits: bool
    ) -> None:
        super().__init__()
        self.slopes, self.logits = slopes, logits
        self.first, self.last = float(bounds[0]), float(bounds[-1])
        self.register_buffer("bounds", bounds.float())
        self.register_buffer("powers", powers.T.contiguous().float())

    def forward(self, scores: Tensor) -> Tensor:
        """`[n]` to the same."""
        inside = scores.clamp(self.first, self.last)
        number = (inside[:, None] >= self.bounds[1:-1]).long().sum(1)
        along = inside - nn.functional.embedding(number, self.bounds[:-1, None]).squeeze(1)
        cube, square, line, constant = nn.functional.embedding(number, self.powers).unbind(1)
        curve = ((cube * along + square) * along + line) * along + constant
        before, behind = scores.clamp(max=self.first) - self.first, scores.clamp(min=self.last) - self.last
        curve = curve + self.slopes[0] * before + self.slopes[1] * behind
        return torch.sigmoid(curve) if self.logits else curve


def dense_calibration(calibration: Calibrator) -> nn.Module:
    """The dense form of a fitted calibrator.

    Args:
        calibration: one of shortlist's.

    Raises:
        ConfigError: it is of another class.
    """
    if type(calibration) is Temperature:
        return DenseLogistic(1 / calibration.temperature, 0.0)
    if type(calibration) is Platt:
        return DenseLogistic(calibration.slope, calibration.shift)
    if type(calibration) is Isotonic:
        return _steps(*(torch.from_numpy(calibration.arrays[name]) for name in ("scores", "probabilities")))
    if type(calibration) is Spline:
        bounds, powers = (torch.from_numpy(calibration.arrays[name]) for name in ("bounds", "pieces"))
        return DensePieces(bounds, powers, slopes=calibration.end_slopes(), logits=True)
    raise ConfigError(
        f"a device cannot run a calibration of class {type(calibration).__name__}",
        where="export",
        remedy="use one of shortlist.calibration, or leave it out: the ranker's order is the same",
    )


def _steps(scores: Tensor, probabilities: Tensor) -> DensePieces:
    """Straight lines from one pair to the next."""
    if len(scores) == 1:
        scores, probabilities = torch.cat([scores, scores + 1]), probabilities.repeat(2)
    rises = probabilities.diff() / scores.diff()
    zeros = torch.zeros_like(rises)
    return DensePieces(scores, torch.stack([zeros, zeros, rises, probabilities[:-1]]), logits=False)
