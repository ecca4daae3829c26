"""How much of the catalogue the recommendations reach, all users together."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.metrics.streaming import check_cutoffs


class Coverage:
    """Streaming share of the catalogue that comes among anyone's first k: `coverage@k`.

    A popular list that is the same for everybody covers k / num_items; random lists soon cover everything.
    It grows with the number of lists, so compare it for the same users only. Memory is one byte an item for
    each k.

    Args:
        num_items: size of the catalogue, without the unknown item 0.
        ks: cut-offs.

    Raises:
        ConfigError: a cut-off is not a positive integer, or the catalogue is empty.
    """

    def __init__(self, num_items: int, *, ks: Iterable[int] = (10, 100)) -> None:
        if num_items < 1:
            raise ConfigError(f"num_items is {num_items}", remedy="pass the number of items that exist")
        self.num_items = num_items
        self.ks = check_cutoffs(ks)
        self.reset()

    def update(self, ranked: Tensor) -> None:
        """Add a batch of lists.

        Args:
            ranked: `[rows, width]` int64 item indices in `[1, num_items]`, best first, 0 where the list has
                ended.

        Raises:
            DataError: an item index is outside the catalogue.
            ShapeError: `ranked` is not a matrix of integers.
        """
        if ranked.ndim != 2 or ranked.is_floating_point():
            raise ShapeError(
                f"ranked is {ranked.dtype} {tuple(ranked.shape)}", remedy="pass [rows, width] item indices"
            )
        if ranked.numel() and not 0 <= int(ranked.min()) <= int(ranked.max()) <= self.num_items:
            raise DataError(
                f"ranked holds item indices from {int(ranked.min())} to {int(ranked.max())}",
                remedy=f"the catalogue has items 1 to {self.num_items}; pad with 0",
            )
        for reached, k in zip(self._reached, self.ks, strict=True):
            reached[ranked[:, :k].reshape(-1).cpu().long()] = True
        self._rows += len(ranked)

    def compute(self) -> dict[str, float]:
        """The figures over everything since the last reset.

        Returns:
            `coverage@k` for each k; NaN when no list was seen.
        """
        shares = self._reached[:, 1:].double().mean(dim=1).tolist()
        return {
            f"coverage@{k}": share if self._rows else math.nan
            for k, share in zip(self.ks, shares, strict=True)
        }

    def reset(self) -> None:
        """Forget all batches."""
        self._reached = torch.zeros(len(self.ks), self.num_items + 1, dtype=torch.bool)
        self._rows = 0

    def merge(self, other: Coverage) -> None:
        """Add the lists that another of the same settings has seen.

        Args:
            other: stays as it is.

        Raises:
            ConfigError: its cut-offs or its catalogue's size differ.
        """
        if (self.num_items, self.ks) != (other.num_items, other.ks):
            raise ConfigError(
                f"coverage at {other.ks} of {other.num_items} items cannot be merged into coverage at "
                f"{self.ks} of {self.num_items}",
                remedy="merge metrics that were built with the same settings",
            )
        self._reached |= other._reached
        self._rows += other._rows
