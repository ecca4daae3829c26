"""Scores whose labels follow a known curve."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.calibration import Calibrator, Isotonic, Platt, Spline, Temperature

CALIBRATORS: tuple[type[Calibrator], ...] = (Temperature, Platt, Isotonic, Spline)


def overconfident(count: int, *, seed: int, factor: float = 3.0) -> tuple[Tensor, Tensor]:
    """Logits that are `factor` times as sure as they should be, and clicks."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, generator=draw, dtype=torch.float64) * 1.5
    labels = (torch.rand(count, generator=draw, dtype=torch.float64) < torch.sigmoid(logits)).double()
    return factor * logits, labels


def log_loss(probabilities: Tensor, labels: Tensor) -> float:
    return float(torch.nn.functional.binary_cross_entropy(probabilities, labels))
