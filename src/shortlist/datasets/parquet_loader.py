"""Batches from Parquet files that do not fit in memory: row groups and a shuffle buffer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch

from shortlist.data.cleaning import CleaningReport, clean
from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import Batch, FeatureSpace
from shortlist.data.loader import BatchLoader
from shortlist.datasets.files import READING_ERRORS, Source, expand, unreadable
from shortlist.datasets.parquet import count_row_groups, read_row_group
from shortlist.errors import ConfigError, DataError

RowGroup = tuple[Path, int]


class ParquetLoader:
    """The positive events of Parquet files in batches, with only a buffer of them in memory.

    Every epoch goes through the row groups in an order of its own, fills the buffer with some of them and
    draws from it at random; what does not fill a batch waits for the next buffer:

        sample = sl.datasets.from_files("events/part-000.parquet", items="items.parquet")
        space = model.build(sample)
        loader = sl.datasets.ParquetLoader("events/*.parquet", sample, space, batch_size=8192)
        model.fit(sample, loader=loader)

    Histories are what the buffer holds of a user, strictly before each event: write the files sorted by user,
    with all of a user in one row group, where features read them. `report` counts the bad rows that are left
    out, by cause.

    Args:
        files: a file, a folder, a pattern or a list of them.
        base: gives the schema, the vocabularies and the tables of users and items; ids that it does not know
            are unknown, and events of unknown items are left out.
        space: which features a batch holds.
        batch_size: events a batch; the last batch of an epoch may be smaller.
        buffer_rows: rows to have in memory before batches are drawn from them.
        shuffle: whether row groups and rows come in an order of their own every epoch.
        seed: the order of an epoch depends on this and on the epoch's number alone.

    Raises:
        ConfigError: a size is less than 1.
        DataError: a file is missing, damaged or no Parquet, or no event can be learned from.
    """

    def __init__(
        self,
        files: Source,
        base: Dataset,
        space: FeatureSpace,
        *,
        batch_size: int,
        buffer_rows: int = 1_000_000,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        if min(batch_size, buffer_rows) < 1:
            raise ConfigError(
                f"batch_size is {batch_size} and buffer_rows {buffer_rows}", remedy="give at least 1"
            )
        self.base, self.space = base, space
        self.batch_size, self.buffer_rows = batch_size, buffer_rows
        self.shuffle, self.seed = shuffle, seed
        self.groups = [(path, group) for path in expand(files) for group in range(_count(path))]
        self.report, self.num_events = CleaningReport(0, 0), 0
        for group in self.groups:
            events, report = self._read(group, columns=base.schema.columns)
            self.report = self.report.followed_by(report)
            self.num_events += len(_learnable(base, events))
        if self.num_events == 0:
            raise DataError(
                "there is no positive event of a known item to learn from",
                where=str(files),
                remedy="check the schema's event types, and that base holds the items",
            )

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.num_events // self.batch_size)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Go through all events once.

        Args:
            number: the epoch's number, from 0; decides the order.
            start: first batch, for a run that goes on after an interruption; what comes before is read again.
        """
        first = 0  # number of the first batch of the buffer
        for events, rows in self._buffers(np.random.default_rng([self.seed, number])):
            batches = -(-len(rows) // self.batch_size)
            if start < first + batches:
                data = self.base.with_interactions(events)
                loader = BatchLoader(
                    data,
                    self.space,
                    batch_size=self.batch_size,
                    rows=torch.from_numpy(rows),
                    shuffle=False,
                )
                yield from loader.epoch(number, start=max(start - first, 0))
            first += batches

    def _buffers(self, random: np.random.Generator) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
        """Events and the rows to learn from, in the order of the batches; the last ones are fewer."""
        order = random.permutation(len(self.groups)) if self.shuffle else np.arange(len(self.groups))
        waiting: list[pl.DataFrame] = []
        for place, group in enumerate(order):
            waiting.append(self._read(self.groups[group])[0])
            last = place == len(order) - 1
            if not last and sum(map(len, waiting)) < self.buffer_rows:
                continue
            events = pl.concat(waiting, how="diagonal_relaxed")
            rows = _learnable(self.base, events)
            if self.shuffle:
                rows = random.permutation(rows)
            full = len(rows) if last else len(rows) - len(rows) % self.batch_size
            if full:
                yield events, rows[:full]
            waiting = [events[np.sort(rows[full:])]]

    def _read(
        self, group: RowGroup, *, columns: list[str] | None = None
    ) -> tuple[pl.DataFrame, CleaningReport]:
        path, number = group
        try:
            frame = read_row_group(path, number, columns=columns)
        except READING_ERRORS as error:
            raise unreadable(path, error) from error
        if len(frame) == 0:
            return frame, CleaningReport(0, 0)
        return clean(frame, self.base.schema, where=f"{path}, row group {number}")


def _count(path: Path) -> int:
    try:
        return count_row_groups(path)
    except READING_ERRORS as error:
        raise unreadable(path, error) from error


def _learnable(base: Dataset, events: pl.DataFrame) -> np.ndarray:
    """The rows of the positive events of known items."""
    if len(events) == 0:
        return np.zeros(0, np.int64)
    data = base.with_interactions(events)
    return data.targets[data.item_index[data.targets] > 0]
