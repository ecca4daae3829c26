"""Each user's events in order of time, so that a history is a window and not a search."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.ragged import Ragged, gather_windows

Int64Array = NDArray[np.int64]


class Timeline:
    """Events sorted by user, then by time; events of one moment keep the order of their rows.

    Args:
        users: `[events]` int64 user indices.
        items: `[events]` int64 item indices.
        times: `[events]` int64 seconds, or None where the order is unknown.
        num_users: number of user indices, the unknown counted.
        kept: `[events]` bool, which of them belong to histories; the others only get a position.
    """

    def __init__(
        self,
        users: Int64Array,
        items: Int64Array,
        times: Int64Array | None,
        *,
        num_users: int,
        kept: NDArray[np.bool_],
    ) -> None:
        self.ordered = times is not None
        order = np.argsort(users, kind="stable") if times is None else np.lexsort((times, users))
        chosen = order[kept[order]]
        counts = np.bincount(users[chosen], minlength=num_users)
        self.offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]))
        self.items = torch.from_numpy(items[chosen])
        self.times = torch.zeros_like(self.items) if times is None else torch.from_numpy(times[chosen])
        flags = kept[order].astype(np.int64)
        positions = np.empty(len(order), np.int64)
        positions[order] = np.cumsum(flags) - flags
        if times is None:
            positions[~kept] = -1
        # Where each event of the input went, or, for one that is not kept, where it would have gone.
        self.positions = torch.from_numpy(positions)

    def latest(self, users: Tensor, length: int | None = None) -> tuple[Ragged, Ragged]:
        """All that some users did, or their last `length` events.

        Args:
            users: `[batch]` int64 user indices; the unknown user 0 has no events.
            length: how many at most; None for all.

        Returns:
            Items and times, oldest first.
        """
        if len(users) == 1:  # a lone request waits, and its window is a slice
            return self._slices(int(users), length)
        return self._windows(users, self.offsets[users + 1], length)

    def before(self, users: Tensor, times: Tensor, length: int | None = None) -> tuple[Ragged, Ragged]:
        """What some users did strictly before some moments.

        Args:
            users: `[batch]` int64 user indices.
            times: `[batch]` int64 seconds.
            length: how many at most; None for all.

        Returns:
            Items and times, oldest first.
        """
        low, high = self.offsets[users], self.offsets[users + 1]
        while bool((low < high).any()):  # a binary search within every user at once
            middle = (low + high) // 2
            earlier = (low < high) & (self.times[middle.clamp(max=len(self.times) - 1)] < times)
            low, high = torch.where(earlier, middle + 1, low), torch.where(earlier, high, middle)
        return self._windows(users, low, length)

    def before_position(
        self, users: Tensor, positions: Tensor, length: int | None = None
    ) -> tuple[Ragged, Ragged]:
        """What some users did before one of their own events.

        Args:
            users: `[batch]` int64 user indices.
            positions: `[batch]` int64 positions of the events in this timeline.
            length: how many at most; None for all.

        Returns:
            Items and times, oldest first. Where the order of events is unknown, all the user's *other*
            events are taken, so that the target itself never leaks.
        """
        if self.ordered:
            return self._windows(users, positions, length)
        return self._others(users, positions, length)

    def _slices(self, user: int, length: int | None) -> tuple[Ragged, Ragged]:
        start, end = self.offsets[user : user + 2].tolist() if user else (0, 0)
        window = slice(start if length is None else max(start, end - length), end)
        items = Ragged.single(self.items[window])
        return items, Ragged(self.times[window], items.offsets)

    def _windows(self, users: Tensor, ends: Tensor, length: int | None) -> tuple[Ragged, Ragged]:
        starts = self.offsets[users]
        if length is not None:
            starts = torch.maximum(starts, ends - length)
        lengths = torch.where(users == 0, 0, ends - starts)
        items = gather_windows(self.items, starts, lengths)
        return items, Ragged(gather_windows(self.times, starts, lengths).values, items.offsets)

    def _others(self, users: Tensor, positions: Tensor, length: int | None) -> tuple[Ragged, Ragged]:
        ends = self.offsets[users + 1]
        starts = self.offsets[users]
        if length is not None:  # one more, since the target may be among them
            starts = torch.maximum(starts, ends - length - 1)
        lengths = torch.where(users == 0, 0, ends - starts)
        where = gather_windows(torch.arange(len(self.items)), starts, lengths)
        rows = where.row_ids()
        kept = where.values != positions[rows]
        if length is not None:
            excess = torch.zeros(len(users), dtype=torch.int64).index_add_(0, rows, kept.long()) > length
            kept &= ~(excess[rows] & (where.positions() == 0))
        counts = torch.zeros(len(users), dtype=torch.int64).index_add_(0, rows, kept.long())
        chosen = where.values[kept]
        items = Ragged.from_lengths(self.items[chosen], counts)
        return items, Ragged(self.times[chosen], items.offsets)
