"""From one loss an example to one number to minimise."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.errors import ConfigError, ShapeError


def weighted_mean(losses: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """The mean loss, so that the learning rate does not depend on the batch's size.

    Args:
        losses: `[batch, ...]` float losses.
        sample_weight: `[batch]` or the losses' shape, non-negative; None weighs all alike. A weight of 0
            takes the example out of the mean, as padding needs.

    Returns:
        Scalar `sum(weight * loss) / sum(weight)`; 0 when the weights sum to 0 or the batch is empty.

    Raises:
        ShapeError: there is not one weight an example.
    """
    if sample_weight is None:
        return losses.mean() if losses.numel() else losses.sum()
    return (losses * normalised_weights(sample_weight, losses)).sum()


def normalised_weights(sample_weight: Tensor | None, losses: Tensor) -> Tensor:
    """What each loss counts in the weighted mean.

    Args:
        sample_weight: as `weighted_mean`.
        losses: `[batch, ...]`, whose shape and dtype count.

    Returns:
        Weights in the losses' shape that sum to 1; to 0 when all are 0.

    Raises:
        ShapeError: there is not one weight an example.
    """
    if sample_weight is None:
        return torch.full_like(losses, 1 / max(losses.numel(), 1), requires_grad=False)
    weight = expand_weight(sample_weight, losses).to(losses.dtype)
    total = weight.sum()
    return weight / torch.where(total > 0, total, torch.ones_like(total))


def expand_weight(sample_weight: Tensor, values: Tensor) -> Tensor:
    """Spread one weight an example over the example's values.

    Args:
        sample_weight: `[batch]`, or the values' shape already.
        values: `[batch, ...]`.

    Returns:
        The weights in the values' shape.

    Raises:
        ShapeError: there is not one weight an example.
    """
    if sample_weight.shape == values.shape:
        return sample_weight
    if values.ndim == 0 or sample_weight.shape != values.shape[:1]:
        raise ShapeError(
            f"sample_weight is {tuple(sample_weight.shape)} for values of shape {tuple(values.shape)}",
            remedy="pass one weight an example, [batch]",
        )
    return sample_weight.reshape(-1, *[1] * (values.ndim - 1)).expand_as(values)


def check_reduction(reduction: str, sample_weight: Tensor | None) -> None:
    """Refuse a reduction that is unknown, and weights that nothing uses.

    Args:
        reduction: must be "none" or "mean".
        sample_weight: must be None without a mean.

    Raises:
        ConfigError: one of them is wrong.
    """
    if reduction not in ("none", "mean"):
        raise ConfigError(f"reduction is {reduction!r}", remedy="pass 'none' or 'mean'")
    if reduction == "none" and sample_weight is not None:
        raise ConfigError(
            "sample_weight is given but reduction is 'none'",
            remedy="pass reduction='mean', or weigh the losses yourself",
        )
