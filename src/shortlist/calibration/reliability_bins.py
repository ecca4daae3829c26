"""How true probabilities are: what was predicted beside what was observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from shortlist.errors import ConfigError, DataError, ShapeError, did_you_mean
from shortlist.metrics.streaming import flat_numbers, spread_weights

Equal = Literal["count", "width"]
EQUALS: tuple[Equal, ...] = ("count", "width")


@dataclass(frozen=True, eq=False)
class Reliability:
    """Examples in bins of similar probability; the data of a reliability diagram.

    Args:
        predicted: `[bins]` float64 mean probability, ascending; bins without an example are left out.
        observed: `[bins]` float64 mean label.
        weights: `[bins]` float64 sum of the examples' weights: their number, where all weigh 1.
    """

    predicted: Tensor
    observed: Tensor
    weights: Tensor

    @property
    def expected_error(self) -> float:
        """The expected calibration error (ECE): the mean distance of prediction and observation.

        Source: Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning
        (AAAI 2015).
        """
        distance = (self.predicted - self.observed).abs()
        return float((self.weights * distance).sum() / self.weights.sum())

    @property
    def largest_error(self) -> float:
        """The distance of prediction and observation in the worst bin."""
        return float((self.predicted - self.observed).abs().max())

    def __str__(self) -> str:
        head = f"{'predicted':>10} {'observed':>10} {'weight':>12}"
        columns = (self.predicted.tolist(), self.observed.tolist(), self.weights.tolist())
        lines = [f"{row[0]:>10.4f} {row[1]:>10.4f} {row[2]:>12,.0f}" for row in zip(*columns, strict=True)]
        return "\n".join([head, *lines, f"expected calibration error {self.expected_error:.4f}"])


def reliability(
    probabilities: Tensor,
    labels: Tensor,
    *,
    bins: int = 15,
    equal: Equal = "count",
    sample_weight: Tensor | None = None,
) -> Reliability:
    """Compare probabilities with what came true, bin by bin.

    Args:
        probabilities: any shape, from 0 to 1.
        labels: the same shape, from 0 to 1.
        bins: how many; equal probabilities are in one bin, so there may be fewer.
        equal: `"count"` puts about as many examples into each bin, which suits clicks, whose probabilities
            crowd near 0; `"width"` divides the interval from 0 to 1, as papers on the expected calibration
            error do.
        sample_weight: `[rows]` or the same shape, non-negative; None weighs all examples alike.

    Returns:
        The bins.

    Raises:
        ConfigError: `bins` is less than 1, or `equal` is unknown.
        DataError: there is no example of positive weight, or a number is out of its range.
        ShapeError: the arguments do not fit together.
    """
    if not isinstance(bins, int) or bins < 1:
        raise ConfigError(f"bins is {bins!r}", remedy="give at least 1, such as 15")
    if equal not in EQUALS:
        raise ConfigError(f"equal is {equal!r}", remedy=did_you_mean(equal, EQUALS))
    chances, truth, weights = _checked(probabilities, labels, sample_weight)
    if equal == "width":
        edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]
    else:
        order = chances.sort().values
        edges = order[(torch.arange(1, bins) * len(order)) // bins]
    number = torch.searchsorted(edges, chances, right=True)
    sums = torch.zeros(3, bins, dtype=torch.float64)
    sums.index_add_(1, number, torch.stack([weights * chances, weights * truth, weights]))
    predicted, observed, total = sums[:, sums[2] > 0]
    return Reliability(predicted / total, observed / total, total)


def _checked(probabilities: Tensor, labels: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    if probabilities.shape != labels.shape:
        raise ShapeError(
            f"probabilities are {tuple(probabilities.shape)} but labels are {tuple(labels.shape)}",
            remedy="reshape one of them, for example probabilities.squeeze(-1)",
        )
    found = []
    for name, values in (("probability", probabilities), ("label", labels)):
        flat = flat_numbers(values, f"values of the {name}").cpu()
        if not bool(((flat >= 0) & (flat <= 1)).all()):
            wrong = float(flat[(flat < 0) | (flat > 1)][0])
            raise DataError(
                f"a {name} is {wrong}, outside [0, 1]",
                remedy="pass torch.sigmoid(logits), and labels of 0 and 1",
            )
        found.append(flat)
    weights = spread_weights(weight, probabilities).cpu()
    counted = weights > 0
    if not bool(counted.any()):
        raise DataError("there is no example to compare", remedy="pass examples of positive weight")
    return found[0][counted], found[1][counted], weights[counted]
