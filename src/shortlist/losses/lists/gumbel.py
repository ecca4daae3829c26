"""Draws of orders around the present scores, for the losses that average over them."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses.lists.inputs import Lists
from shortlist.losses.lists.list_losses import ListLosses, divide


def gumbel_noise(
    scores: Tensor, samples: int, generator: torch.Generator | None, noise: Tensor | None
) -> Tensor:
    """Draws that turn a sort by score into a draw of an order by the Plackett-Luce model.

    Args:
        scores: `[total]`, whose dtype and device count.
        samples: how many draws an item.
        generator: of the draws; None for PyTorch's own.
        noise: `[samples, total]` draws that were made elsewhere, or None.

    Returns:
        `[samples, total]` standard Gumbel.

    Raises:
        ConfigError: `samples` is less than 1.
        ShapeError: the given draws do not fit.
    """
    if samples < 1:
        raise ConfigError(f"samples is {samples}", remedy="pass a positive integer such as 8")
    if noise is None:
        drawn = torch.empty(samples, len(scores), dtype=scores.dtype, device=scores.device)
        return drawn.exponential_(generator=generator).log_().neg_()
    if noise.ndim != 2 or noise.shape[1] != len(scores):
        raise ShapeError(
            f"noise is {tuple(noise.shape)} for {len(scores)} items", remedy="pass [samples, total] draws"
        )
    return noise.to(scores)


def repeat_lists(lists: Lists, samples: int) -> Lists:
    """A batch several times over, one copy after another.

    Args:
        lists: a batch of `n` lists.
        samples: how often.

    Returns:
        `samples * n` lists.
    """
    total = lists.offsets[-1]
    starts = torch.arange(samples, device=lists.offsets.device)[:, None] * total + lists.offsets[:-1]
    return Lists(
        lists.scores.repeat(samples),
        lists.labels.repeat(samples),
        None if lists.weights is None else lists.weights.repeat(samples),
        torch.cat([starts.flatten(), (samples * total)[None]]),
    )


def perturb_lists(lists: Lists, noise: Tensor, gumbel_temperature: float) -> Lists:
    """A batch once for each draw, its scores moved by the draw.

    Args:
        lists: a batch of `n` lists.
        noise: `[samples, total]`.
        gumbel_temperature: divides the moved scores; positive.

    Returns:
        `samples * n` lists.

    Raises:
        ConfigError: the temperature is not positive.
    """
    if not gumbel_temperature > 0:
        raise ConfigError(
            f"gumbel_temperature is {gumbel_temperature}", remedy="pass a positive number such as 1.0"
        )
    repeated = repeat_lists(lists, len(noise))
    return repeated._replace(scores=(lists.scores + noise).flatten() / gumbel_temperature)


def sample_mean(losses: ListLosses, samples: int) -> ListLosses:
    """The mean over the draws of each list.

    Args:
        losses: of `samples * n` lists, one copy of the batch after another.
        samples: how many draws.

    Returns:
        Of `n` lists; a weight is the mean of those of the draws.
    """
    weights = losses.weights.view(samples, -1)
    sums = (losses.values.view(samples, -1) * weights).sum(dim=0)
    return ListLosses(divide(sums, weights.sum(dim=0)), weights.mean(dim=0))
