"""Batches of whole sequences: what each user did, in windows, and what came next after every event."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import Batch
from shortlist.data.ragged import Ragged, gather_windows
from shortlist.errors import ConfigError, DataError, SchemaError


class SequenceLoader:
    """The users' histories in windows, with the positive event that followed each of their events.

    A batch holds `sequence` (rows of item indices, the longest first), `sequence_times` (int64 seconds),
    `target` (`[n]` int64 item indices), `target_place` (`[n]` int64, the event of `sequence.values` after
    which the target came; `len(sequence.values)` where nothing came before it) and `weight` (`[n]` float32).

    A history of more than `length` events is cut into as many windows as it needs, at places of their own
    every epoch: each target is seen once an epoch, after contexts of all lengths.

    Args:
        dataset: the events.
        length: the longest window.
        batch_size: windows a batch; the last batch of an epoch may be smaller.
        shuffle: whether every epoch has an order and windows of its own.
        seed: the order of an epoch depends on this and on the epoch's number alone.

    Raises:
        ConfigError: the batch size is less than 1.
        SchemaError: the order of the events is unknown.
        DataError: there is no event to learn from.
    """

    def __init__(
        self, dataset: Dataset, *, length: int, batch_size: int, shuffle: bool = True, seed: int = 0
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}", remedy="such as 128")
        if dataset.times is None:
            raise SchemaError(
                "sequences need the order of the events, and the schema names no timestamp column",
                remedy="set Schema(timestamp=…)",
            )
        self.timeline, self.length, self.batch_size = dataset.timeline, length, batch_size
        self.shuffle, self.seed = shuffle, seed
        self._collect_targets(dataset)
        self._collect_people(dataset)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-int(self.windows.sum()) // self.batch_size)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Go through all targets once.

        Args:
            number: the epoch's number, from 0; decides the order and the windows.
            start: first batch, for a run that goes on after an interruption.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        person, begin, end = self._cut(generator)
        order = (
            torch.randperm(len(person), generator=generator) if self.shuffle else torch.arange(len(person))
        )
        for chosen in torch.split(order, self.batch_size)[start:]:
            lengths = (end - begin)[chosen]
            rows = chosen[lengths.argsort(descending=True, stable=True)]
            yield self._batch(person[rows], begin[rows], end[rows])

    def _collect_targets(self, dataset: Dataset) -> None:
        """Every positive event: its item and weight, and the event of the timeline that it followed."""
        rows = dataset.targets[dataset.item_index[dataset.targets] > 0]
        if len(rows) == 0:
            raise DataError(
                "there is no positive event to learn from", remedy="check the schema's event types"
            )
        own = torch.from_numpy(rows) + (len(self.timeline.positions) - len(dataset))
        after = self.timeline.positions[own]
        person = torch.from_numpy(dataset.person_index[rows])
        follows = after > self.timeline.offsets[person]
        # The events before one user's first belong to another: what comes first is kept by user instead.
        key = torch.where(follows, after - 1, person)
        items, weights = torch.from_numpy(dataset.item_index[rows]), torch.from_numpy(dataset.weights[rows])
        parts = []
        for some in (follows, ~follows):
            order = torch.argsort(key[some], stable=True)
            parts.append(tuple(values[some][order] for values in (key, items, weights)))
        (self.event, *self.following), (self.opener, *self.opening) = parts

    def _collect_people(self, dataset: Dataset) -> None:
        """Who has a target, how many of the own events lead to one, and into how many windows they go."""
        events = torch.from_numpy(np.diff(self.timeline.offsets.numpy()))
        owner = torch.arange(len(events)).repeat_interleave(events)
        self.people = torch.unique(torch.cat([owner[self.event], self.opener]))
        last = self.timeline.offsets[self.people] - 1
        bounds = torch.searchsorted(self.event, self.timeline.offsets[self.people + 1])
        some = bounds > torch.searchsorted(self.event, self.timeline.offsets[self.people])
        last[some] = self.event[bounds[some] - 1]
        self.sizes = last + 1 - self.timeline.offsets[self.people]
        self.windows = (-(-self.sizes // self.length)).clamp(min=1)

    def _cut(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """An epoch's windows: of whom, and from which event of theirs to which."""
        slack = self.windows * self.length - self.sizes
        draw = torch.rand(len(slack), generator=generator, dtype=torch.float64)
        shift = (draw * (slack + 1)).long() if self.shuffle else torch.zeros_like(slack)
        row = torch.arange(len(self.people)).repeat_interleave(self.windows)
        number = Ragged.from_lengths(row, self.windows).positions()
        begin = (number * self.length - shift[row]).clamp(min=0).masked_fill_(number == 0, 0)
        end = (number + 1) * self.length - shift[row]
        end = torch.where(number == self.windows[row] - 1, self.sizes[row], end)
        return self.people[row], begin, end

    def _batch(self, person: Tensor, begin: Tensor, end: Tensor) -> Batch:
        first = self.timeline.offsets[person] + begin
        sequence = gather_windows(self.timeline.items, first, end - begin)
        times = gather_windows(self.timeline.times, first, end - begin)
        low, high = (torch.searchsorted(self.event, bound) for bound in (first, first + end - begin))
        found = gather_windows(torch.arange(len(self.event)), low, high - low)
        row = found.row_ids()
        place = self.event[found.values] - first[row] + sequence.offsets[row]
        fresh = person[begin == 0]
        low, high = (torch.searchsorted(self.opener, fresh, right=right) for right in (False, True))
        opened = gather_windows(torch.arange(len(self.opener)), low, high - low).values
        target, weight = (
            torch.cat([following[found.values], opening[opened]])
            for following, opening in zip(self.following, self.opening, strict=True)
        )
        return {
            "sequence": sequence,
            "sequence_times": times,
            "target": target,
            "target_place": torch.cat([place, torch.full_like(opened, len(sequence.values))]),
            "weight": weight,
        }
