"""What the training loop asks of a source of batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch

from shortlist.data.feature_space import Batch


class Loader(Protocol):
    """A source of batches that can start in the middle of an epoch.

    The order of an epoch's batches may depend on the loader's seed and the epoch's number only:
    that is what makes an interrupted training resume to the identical next step.
    """

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            number: of the epoch, from 0.
            start: the first batch to yield; those before it are skipped. `len(self)` yields nothing.
        """
        ...


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Copy what lies elsewhere to a device.

    Args:
        batch: tensors and Ragged, each anywhere.
        device: the target.

    Returns:
        The batch itself when all of it is on the device already, else a dict with the same keys.
    """
    if all(value.device == device for value in batch.values()):
        return batch
    return {
        name: value if value.device == device else value.to(device, non_blocking=True)
        for name, value in batch.items()
    }
