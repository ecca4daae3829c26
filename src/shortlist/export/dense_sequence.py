"""A `Sequential` over padded histories: the same weights, without packed events and groups."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.export.dense_blocks import Seen, dense_block
from shortlist.export.dense_features import DenseFeature, Inputs
from shortlist.models.sequential import Sequential

LATEST = slice(-1, None)
DOUBLINGS = 31  # of a second that 32 bits hold


class DenseSequence(DenseFeature):
    """From a history's item vectors to the query of a `Sequential`.

    Args:
        model: trained.
        name: of the history's rows, `[batch, n, dim]`, oldest first, padded at the end; its mask is
            `NAME_mask`.
        times: of the events' seconds, `[batch, n]` int32, where the model reads them.
    """

    start: Tensor
    thresholds: Tensor

    def __init__(self, model: Sequential, name: str, times: str | None) -> None:
        super().__init__([name] if times is None else [name, times])
        encoder = model.encoder
        self.padded = True
        self.scale = model.dim**0.5
        self.positions, self.gaps, self.norm = encoder.positions, encoder.gaps, encoder.norm
        self.blocks = nn.ModuleList(dense_block(block) for block in encoder.blocks)
        self.register_buffer("start", model.start.detach().float()[None])
        self.register_buffer("thresholds", 2 ** torch.arange(DOUBLINGS, dtype=torch.int32))

    def unpadded(self) -> DenseSequence:
        """The same for one person whose history has no padding, in fewer operators.

        The first axis of all inputs is 1; where there is no event, one row is shown with a mask of 0.
        """
        alone = copy.copy(self)
        alone.padded = False
        return alone

    def forward(self, inputs: Inputs) -> Tensor:
        """`[batch, dim]`."""
        rows, mask = inputs[self.names[0]], inputs[f"{self.names[0]}_mask"]
        count, dim = rows.shape[1:]
        values = (rows if self.padded else rows.reshape(-1, dim)) * self.scale
        if self.positions is not None:
            values = values + self.positions.weight[:count]
        times = None
        if self.gaps is not None:
            times = inputs[self.names[1]]
            since = torch.cat([torch.zeros_like(times[:, :1]), times[:, 1:] - times[:, :-1]], dim=1)
            values = values + self.gaps(self._buckets(since)).reshape(values.shape)
        every, last = self._padded(mask, times) if self.padded else self._alone(count, times)
        values = values.reshape(-1, dim) if self.padded else values
        for block in self.blocks[:-1]:
            values = block(values, every)
        # The query is what the last event becomes, so the last block answers for no other.
        found = self.norm(self.blocks[-1](values, last))
        return torch.where(mask[:, :1] > 0, found, self.start)

    def _padded(self, mask: Tensor, times: Tensor | None) -> tuple[Seen, Seen]:
        """What all events see, and what the last of each history does."""
        batch, count = mask.shape
        # An event without one after it is the last; an empty history has none.
        is_last = mask - functional.pad(mask, (0, 1))[:, 1:]
        place = torch.arange(count, device=mask.device)
        distance = place[:, None] - place
        every = Seen(batch, None, None, distance[None])
        apart = (mask.sum(1, keepdim=True).long() - 1 - place)[:, None]
        last = Seen(batch, is_last[:, None], mask[:, None] > 0, apart)
        if times is not None:
            latest = (times * is_last.int()).sum(1, keepdim=True, dtype=torch.int32)
            every = replace(every, apart=self._buckets(times[:, :, None] - times[:, None, :]))
            last = replace(last, apart=self._buckets(latest - times)[:, None])
        return every, last

    def _alone(self, count: int, times: Tensor | None) -> tuple[Seen, Seen]:
        """The same of one person without padding."""
        place = torch.arange(count, device=self.start.device)
        distance = place[:, None] - place
        every = Seen(None, None, None, distance)
        if times is not None:
            every = replace(every, apart=self._buckets(times[0, :, None] - times[0]))
        last = Seen(None, LATEST, None, distance[-1:], None if every.apart is None else every.apart[-1:])
        return every, last

    def _buckets(self, seconds: Tensor) -> Tensor:
        """`gap_buckets` in whole numbers: how many powers of two a gap reaches."""
        return (seconds.unsqueeze(-1) >= self.thresholds).long().sum(-1)
