"""Metrics of scores against labels of 0 and 1: clicks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shortlist.errors import DataError, ShapeError
from shortlist.metrics.streaming import StreamingMeans, flat_numbers, spread_weights

_SMALLEST_PROBABILITY = 1e-7


def auc(scores: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> float:
    """The chance that a random positive scores higher than a random negative; ties count half.

    Exact: no thresholds, no bins. Time is a sort.

    Args:
        scores: any shape, float; only their order matters.
        labels: the same shape, 0 or 1.
        sample_weight: the same shape or `[rows]`, non-negative.

    Returns:
        The area under the ROC curve in [0, 1]; NaN when one of the classes is absent.

    Raises:
        DataError: a score is not a number, a label is neither 0 nor 1, or a weight is negative.
        ShapeError: the shapes do not fit together.
    """
    values, truth, weight = _checked(scores, labels, sample_weight)
    areas, _ = _areas(values, truth, weight, torch.zeros_like(values, dtype=torch.int64), num_groups=1)
    return float(areas[0])


def grouped_auc(
    scores: Tensor, labels: Tensor, groups: Tensor, *, sample_weight: Tensor | None = None
) -> float:
    """The AUC within each group, averaged with the groups' weights.

    A global AUC rewards knowing which users click a lot; this one only the order within each user.

    Args:
        scores: any shape, float.
        labels: the same shape, 0 or 1.
        groups: the same shape, integers such as user indices.
        sample_weight: the same shape or `[rows]`, non-negative.

    Returns:
        The mean over the groups that have both classes, each weighing as much as its rows; NaN when there
        is no such group.

    Raises:
        DataError: a score is not a number, a label is neither 0 nor 1, or a weight is negative.
        ShapeError: the shapes do not fit together.

    Source: Zhou et al., Deep interest network for click-through rate prediction (KDD 2018).
    """
    values, truth, weight = _checked(scores, labels, sample_weight)
    names, group = torch.unique(_checked_groups(groups, scores), return_inverse=True)
    areas, totals = _areas(values, truth, weight, group, num_groups=len(names))
    defined = ~areas.isnan()
    return float((areas[defined] * totals[defined]).sum() / totals[defined].sum())


class AUC:
    """Streaming, exact area under the ROC curve.

    It keeps every score (about 24 bytes each on the CPU), because no smaller state gives the exact area.
    """

    def __init__(self) -> None:
        self.reset()

    def update(self, scores: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            scores: any shape, float.
            labels: the same shape, 0 or 1.
            sample_weight: the same shape or `[rows]`, non-negative.

        Raises:
            DataError: a score is not a number, a label is neither 0 nor 1, or a weight is negative.
            ShapeError: the shapes do not fit together.
        """
        self._kept.append(tuple(part.cpu() for part in _checked(scores, labels, sample_weight)))

    def compute(self) -> dict[str, float]:
        """`auc` over everything seen; NaN when one of the classes is absent."""
        if not self._kept:
            return {"auc": math.nan}
        scores, labels, weight = (torch.cat(part) for part in zip(*self._kept, strict=True))
        return {"auc": auc(scores, labels, sample_weight=weight)}

    def reset(self) -> None:
        """Forget all batches."""
        self._kept: list[tuple[Tensor, ...]] = []

    def merge(self, other: AUC) -> None:
        """Add the batches that another has seen."""
        self._kept.extend(other._kept)


class GroupedAUC:
    """Streaming, exact mean of the AUC within each group, such as each user.

    It keeps every score (about 32 bytes each on the CPU).
    """

    def __init__(self) -> None:
        self.reset()

    def update(
        self, scores: Tensor, labels: Tensor, *, groups: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            scores: any shape, float.
            labels: the same shape, 0 or 1.
            groups: the same shape, integers.
            sample_weight: the same shape or `[rows]`, non-negative.

        Raises:
            DataError: a score is not a number, a label is neither 0 nor 1, or a weight is negative.
            ShapeError: the shapes do not fit together.
        """
        parts = (*_checked(scores, labels, sample_weight), _checked_groups(groups, scores))
        self._kept.append(tuple(part.cpu() for part in parts))

    def compute(self) -> dict[str, float]:
        """`grouped_auc` over everything seen; NaN when no group has both classes."""
        if not self._kept:
            return {"grouped_auc": math.nan}
        scores, labels, weight, groups = (torch.cat(part) for part in zip(*self._kept, strict=True))
        return {"grouped_auc": grouped_auc(scores, labels, groups, sample_weight=weight)}

    def reset(self) -> None:
        """Forget all batches."""
        self._kept: list[tuple[Tensor, ...]] = []

    def merge(self, other: GroupedAUC) -> None:
        """Add the batches that another has seen."""
        self._kept.extend(other._kept)


class LogLoss(StreamingMeans):
    """Streaming mean negative log-likelihood of the labels: `log_loss`, in nats.

    Args:
        from_logits: whether predictions are logits rather than probabilities. Probabilities are clipped to
            [1e-7, 1 - 1e-7].
    """

    def __init__(self, *, from_logits: bool = False) -> None:
        super().__init__(["log_loss"])
        self.from_logits = from_logits

    def update(self, predictions: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            predictions: any shape, float.
            labels: the same shape, 0 or 1.
            sample_weight: the same shape or `[rows]`, non-negative.

        Raises:
            DataError: a prediction is not a number or outside [0, 1], a label is neither 0 nor 1, or a
                weight is negative.
            ShapeError: the shapes do not fit together.
        """
        values, truth, weight = _checked(predictions, labels, sample_weight)
        if self.from_logits:
            losses = torch.nn.functional.softplus(torch.where(truth > 0, -values, values))
        else:
            if len(values) and not (float(values.min()) >= 0 and float(values.max()) <= 1):
                raise DataError(
                    f"probabilities run from {float(values.min())} to {float(values.max())}",
                    remedy="use LogLoss(from_logits=True) for raw scores",
                )
            values = values.clamp(_SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
            losses = -torch.where(truth > 0, values, 1 - values).log()
        self._add(losses[None], weight)


class Accuracy(StreamingMeans):
    """Streaming share of the labels that a threshold gets right: `accuracy`.

    Args:
        threshold: a prediction above it says 1; 0.5 for probabilities, 0 for logits.
    """

    def __init__(self, *, threshold: float = 0.5) -> None:
        super().__init__(["accuracy"])
        self.threshold = threshold

    def update(self, predictions: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            predictions: any shape, float.
            labels: the same shape, 0 or 1.
            sample_weight: the same shape or `[rows]`, non-negative.

        Raises:
            DataError: a prediction is not a number, a label is neither 0 nor 1, or a weight is negative.
            ShapeError: the shapes do not fit together.
        """
        values, truth, weight = _checked(predictions, labels, sample_weight)
        self._add(((values > self.threshold) == (truth > 0))[None], weight)


def _checked(scores: Tensor, labels: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    # Three flat float64 vectors.
    if scores.shape != labels.shape:
        raise ShapeError(
            f"scores are {tuple(scores.shape)} but labels are {tuple(labels.shape)}",
            remedy="reshape one of them, for example scores.squeeze(-1)",
        )
    truth = labels.detach().reshape(-1).double()
    if not bool(((truth == 0) | (truth == 1)).all()):
        wrong = truth[(truth != 0) & (truth != 1)][0]
        raise DataError(f"a label is {float(wrong)}", remedy="pass 0 and 1, for example (ratings >= 4)")
    return flat_numbers(scores, "scores"), truth, spread_weights(weight, scores)


def _checked_groups(groups: Tensor, scores: Tensor) -> Tensor:
    if groups.shape != scores.shape or groups.is_floating_point():
        raise ShapeError(
            f"groups are {groups.dtype} {tuple(groups.shape)} for scores of shape {tuple(scores.shape)}",
            remedy="pass one integer a score",
        )
    return groups.detach().reshape(-1)


def _areas(
    scores: Tensor, labels: Tensor, weight: Tensor, group: Tensor, *, num_groups: int
) -> tuple[Tensor, Tensor]:
    # The area within each group (NaN where a class is absent) and the group's weight; labels are 0 and 1.
    by_score = scores.argsort(stable=True)
    order = by_score[group[by_score].argsort(stable=True)]
    scores, group = scores[order], group[order]
    positive, negative = (labels * weight)[order], ((1 - labels) * weight)[order]
    # A cell is a run of equal scores within a group; within a cell positives and negatives tie.
    starts = torch.ones_like(group, dtype=torch.bool)
    starts[1:] = (group[1:] != group[:-1]) | (scores[1:] != scores[:-1])
    cell = starts.cumsum(0) - 1
    cell_group = group[starts]
    cell_positive = positive.new_zeros(len(cell_group)).index_add_(0, cell, positive)
    cell_negative = negative.new_zeros(len(cell_group)).index_add_(0, cell, negative)
    totals = torch.stack(
        [part.new_zeros(num_groups).index_add_(0, group, part) for part in (positive, negative)]
    )
    earlier_groups = totals[1].cumsum(0) - totals[1]
    below = cell_negative.cumsum(0) - cell_negative - earlier_groups[cell_group]
    won = cell_positive * (below + cell_negative / 2)
    wins = won.new_zeros(num_groups).index_add_(0, cell_group, won)
    # Rounding can leave wins of a hair where a class is absent, and a hair over nothing is infinite.
    both = (totals > 0).all(dim=0)
    return torch.where(both, wins / totals[0] / totals[1], torch.nan), totals.sum(dim=0)
