"""Who asks: a batch of users, what each did before, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from shortlist.data.ragged import Ragged, gather_windows
from shortlist.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Requests:
    """A batch of questions "what next for this user?", in index space.

    Args:
        users: `[batch]` int64 user indices; 0 is an unknown user.
        history: `[batch]` rows of item indices, oldest first, all strictly before the row's time.
        history_times: int64 seconds, aligned with `history`; 0 where unknown.
        times: `[batch]` int64 seconds, the moment of each request; 0 where unknown.
        context: further columns of each request, such as the device, one row a request; None where there are
            none.

    Raises:
        ShapeError: the parts have different numbers of rows or values.
    """

    users: Tensor
    history: Ragged
    history_times: Ragged
    times: Tensor
    context: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        rows = self.users.shape[0]
        parts: dict[str, Tensor | Ragged | pl.DataFrame | None] = {
            "history": self.history,
            "history_times": self.history_times,
            "times": self.times,
            "context": self.context,
        }
        for name, part in parts.items():
            if part is not None and len(part) != rows:
                raise ShapeError(f"{name} has {len(part)} rows for {rows} users", remedy="one row a request")
        if len(self.history.values) != len(self.history_times.values):
            raise ShapeError(
                f"{len(self.history.values)} history items, {len(self.history_times.values)} history times",
                remedy="give one time for each item, 0 where it is unknown",
            )

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: Tensor) -> Requests:
        """Some of the requests, in the order given; a row may come twice.

        Args:
            rows: `[n]` int64 row numbers.
        """
        context = None if self.context is None else self.context[rows.numpy()]
        return Requests(
            self.users[rows],
            self.history.take(rows),
            self.history_times.take(rows),
            self.times[rows],
            context,
        )

    def latest_known(self, length: int, *, num_items: int) -> tuple[Ragged, Ragged]:
        """The last events of each history, without items that are unknown or came later than the model.

        Args:
            length: how many events at most.
            num_items: of the item indices that the model was trained with, the unknown counted.

        Returns:
            Items and times, oldest first.
        """
        history, times = self.history, self.history_times
        known = (history.values > 0) & (history.values < num_items)
        if not bool(known.all()):
            counts = torch.bincount(history.row_ids()[known], minlength=len(history))
            history = Ragged.from_lengths(history.values[known], counts)
            times = Ragged(times.values[known], history.offsets)
        lengths = history.lengths.clamp(max=length)
        first = history.offsets[1:] - lengths
        return gather_windows(history.values, first, lengths), gather_windows(times.values, first, lengths)

    @classmethod
    def concatenate(cls, parts: Sequence[Requests]) -> Requests:
        """Stack requests, one part after another; what a part has no context column for is missing."""
        known = next((part.context for part in parts if part.context is not None), None)
        frames = [
            known.clear(len(part)) if part.context is None else part.context
            for part in parts
            if known is not None
        ]
        return cls(
            torch.cat([part.users for part in parts]),
            Ragged.concatenate([part.history for part in parts]),
            Ragged.concatenate([part.history_times for part in parts]),
            torch.cat([part.times for part in parts]),
            pl.concat(frames, how="diagonal") if frames else None,
        )

    @classmethod
    def from_history(cls, history: Ragged) -> Requests:
        """Requests of unknown users of whom only a history is known.

        Args:
            history: rows of item indices, oldest first.
        """
        zeros = torch.zeros(len(history), dtype=torch.int64)
        return cls(zeros, history, Ragged(torch.zeros_like(history.values), history.offsets), zeros)
