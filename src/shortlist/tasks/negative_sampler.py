"""Items drawn from the catalogue as negatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError


class NegativeSampler(nn.Module):
    """Draws items, each with a chance of its own, with replacement.

    Args:
        weights: `[n]` float, how likely each index is in proportion to the others; not negative. The unknown
            item, index 0, should weigh nothing.

    Raises:
        ConfigError: a weight is negative or not a number, or none is positive.
    """

    cumulative: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        if weights.ndim != 1 or not bool((weights >= 0).all()) or not 0 < float(weights.sum()) < torch.inf:
            raise ConfigError(
                "the weights of a sampler must be a [n] vector of finite numbers from 0 up, one of them "
                "above 0",
                remedy="pass how often each item was taken, for example",
            )
        # In doubles: in single precision a million items would share too few of its numbers.
        self.register_buffer("cumulative", weights.double().cumsum(0), persistent=False)

    @classmethod
    def uniform(cls, num_items: int) -> NegativeSampler:
        """A sampler of the indices from 1 to `num_items`, all alike.

        Args:
            num_items: size of the catalogue, the unknown item not counted.
        """
        weights = torch.ones(num_items + 1)
        weights[0] = 0
        return cls(weights)

    def draw(self, *shape: int) -> Tensor:
        """Draw from torch's generator.

        Args:
            *shape: of the result.

        Returns:
            int64 indices.
        """
        total = float(self.cumulative[-1])
        # The product may round up to the total, which is nobody's.
        point = (torch.rand(shape, dtype=torch.float64) * total).clamp(max=math.nextafter(total, 0.0))
        return torch.searchsorted(self.cumulative, point.to(self.cumulative.device), right=True)

    def probability(self, items: Tensor) -> Tensor:
        """The chance of each item in one draw.

        Args:
            items: int64 indices of any shape.

        Returns:
            float32 of the same shape.
        """
        below = torch.where(items > 0, self.cumulative[(items - 1).clamp(min=0)], 0.0)
        return ((self.cumulative[items] - below) / self.cumulative[-1]).float()
