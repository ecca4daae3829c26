"""Where the events of a batch of sequences lie: packed for what looks at one event, in groups for attention.

Layers that treat every event alike work on the packed events: no padding, no mask. Attention needs a
rectangle; sequences of similar length share one, padded at the end. There causality hides the padding from
every real event, so no mask is needed and no number changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import PackedSequence

from shortlist.data.ragged import Ragged
from shortlist.errors import ShapeError

MOST_PADDING = 1.15  # places of a group for each of its events, at most, where sequences differ in length


@dataclass(frozen=True, eq=False)
class Group:
    """Neighbouring sequences of similar length, as one rectangle padded at the end.

    Args:
        rows: how many sequences.
        length: of the longest.
        events: how many events they have together.
        source: `[rows * length]` the event that each place shows, some event where it is padding; None
            without padding.
        places: `[events]` the place of each event; None without padding.
        times: `[rows, length]` the events' times, or None.
    """

    rows: int
    length: int
    events: int
    source: Tensor | None
    places: Tensor | None
    times: Tensor | None

    def pad(self, values: Tensor) -> Tensor:
        """`[events, width]` to `[rows, length, width]`; padding must not reach any event's loss."""
        if self.source is not None and self.places is not None:
            values = _Rearrange.apply(values, self.source, self.places)  # type: ignore[no-untyped-call]
        return values.reshape(self.rows, self.length, values.shape[1])

    def unpad(self, padded: Tensor) -> Tensor:
        """`[rows, length, width]` to `[events, width]`."""
        values = padded.reshape(self.rows * self.length, padded.shape[2])
        return values if self.places is None else _Pick.apply(values, self.places)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class SequenceLayout:
    """A batch of sequences, the longest first.

    Args:
        offsets: `[rows + 1]` int64, where each sequence starts in the packed events, as in `Ragged`.
        times: `[total]` int64 seconds of the events, or None.

    Raises:
        ShapeError: a sequence is longer than the one before it.
    """

    offsets: Tensor
    times: Tensor | None = None

    def __post_init__(self) -> None:
        if bool((self.lengths.diff() > 0).any()):
            raise ShapeError(
                "the sequences of a layout are not ordered from long to short",
                remedy="sort them by length, or use SequenceEncoder, which does it",
            )

    @property
    def lengths(self) -> Tensor:
        """`[rows]` int64."""
        return self.offsets.diff()

    @cached_property
    def positions(self) -> Tensor:
        """`[total]` int64 position of each event in its sequence, from 0."""
        total = torch.arange(int(self.offsets[-1]), device=self.offsets.device)
        return Ragged(total, self.offsets).positions()

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The rectangles; sequences without events are in none."""
        lengths = [length for length in self.lengths.tolist() if length]
        groups, first, event = [], 0, 0
        while first < len(lengths):
            last, events = first, 0
            while last < len(lengths):
                more = events + lengths[last]
                if (last + 1 - first) * lengths[first] > MOST_PADDING * more:
                    break
                last, events = last + 1, more
            groups.append(self._group(lengths[first:last], event, events))
            first, event = last, event + events
        return tuple(groups)

    def by_group(self, values: Tensor, mix: Callable[[Tensor, Group], Tensor]) -> Tensor:
        """Apply to rectangles what mixes the events of a sequence.

        Args:
            values: `[total, width]`.
            mix: from `[rows, length, width]` and the group to `[rows, length, width]`, where no event
                depends on a later one.

        Returns:
            `[total, width]`.
        """
        parts = torch.split(values, [group.events for group in self.groups])
        mixed = [
            group.unpad(mix(group.pad(part), group)) for group, part in zip(self.groups, parts, strict=True)
        ]
        return torch.cat(mixed)

    def by_step(self, values: Tensor, step: Callable[[PackedSequence], PackedSequence]) -> Tensor:
        """Apply what goes through the sequences event by event.

        Args:
            values: `[total, width]`.
            step: a recurrent layer.

        Returns:
            `[total, width]`.
        """
        order, back, sizes = self._steps
        packed = PackedSequence(_Rearrange.apply(values, order, back), sizes)  # type: ignore[no-untyped-call]
        return _Rearrange.apply(step(packed).data, back, order)  # type: ignore[no-untyped-call, no-any-return]

    @cached_property
    def _steps(self) -> tuple[Tensor, Tensor, Tensor]:
        """The events ordered by position, where each went, and how many sequences reach each position."""
        order = torch.argsort(self.positions, stable=True)
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        return order, back, torch.bincount(self.positions).cpu()

    def _group(self, lengths: list[int], event: int, events: int) -> Group:
        rows, longest = len(lengths), lengths[0]
        times = None if self.times is None else self.times[event : event + events]
        if lengths[-1] == longest:
            shown = None if times is None else times.view(rows, longest)
            return Group(rows, longest, events, None, None, shown)
        device = self.offsets.device
        own = torch.tensor(lengths, device=device)
        column = torch.arange(longest, device=device)
        start = own.cumsum(0) - own
        source = (start[:, None] + torch.minimum(column, own[:, None] - 1)).flatten()
        places = (column < own[:, None]).flatten().nonzero().flatten()
        shown = None if times is None else times[source].view(rows, longest)
        return Group(rows, longest, events, source, places, shown)


class _Rearrange(torch.autograd.Function):
    """Rows by number, of which each value's own place alone gets a gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, source: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        return values.index_select(0, source)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return grad.index_select(0, places), None, None


class _Pick(torch.autograd.Function):
    """Distinct rows by number: the backward pass copies where PyTorch's own would add row by row."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.rows = len(values)
        return values.index_select(0, places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return grad.new_zeros(ctx.rows, grad.shape[1]).index_copy_(0, places, grad), None
