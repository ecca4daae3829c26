"""Batches of training examples: a permutation and gathers over columns that were encoded once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import Batch, FeatureSpace, take
from shortlist.errors import ConfigError, DataError


class BatchLoader:
    """The positive (or all labelled) events of a dataset in batches.

    A batch holds the features of the space by name, and `user_index`, `item_index` (`[batch]` int64),
    `weight` (`[batch]` float32) and, where the data has labels, `label` (`[batch]` float32).

    Args:
        dataset: the events.
        space: which features a batch holds.
        batch_size: events a batch; the last batch of an epoch may be smaller.
        rows: `[n]` int64 event rows to go through; by default the positive events of known items.
        shuffle: whether every epoch has an order of its own.
        seed: the order of an epoch depends on this and on the epoch's number alone.

    Raises:
        ConfigError: the batch size is less than 1.
        DataError: there is no event to learn from.
    """

    def __init__(
        self,
        dataset: Dataset,
        space: FeatureSpace,
        *,
        batch_size: int,
        rows: Tensor | None = None,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}", remedy="such as 1024")
        self.dataset, self.space = dataset, space
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        self.items = torch.from_numpy(dataset.item_index)
        self.rows = torch.from_numpy(dataset.targets) if rows is None else rows
        self.rows = self.rows[self.items[self.rows] > 0]
        if len(self.rows) == 0:
            raise DataError(
                "there is no positive event to learn from", remedy="check the schema's event types"
            )
        self.weights = torch.from_numpy(dataset.weights)
        self.labels = None if dataset.labels is None else torch.from_numpy(dataset.labels)
        self.context = space.encode_context(dataset.requests(torch.arange(len(dataset)), length=0))

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Go through all events once.

        Args:
            number: the epoch's number, from 0; decides the order.
            start: first batch, for a run that goes on after an interruption.
        """
        order = self.rows
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
            order = order[torch.randperm(len(order), generator=generator)]
        for first in range(start * self.batch_size, len(order), self.batch_size):
            yield self.batch(order[first : first + self.batch_size])

    def batch(self, rows: Tensor) -> Batch:
        """The batch of some events.

        Args:
            rows: `[batch]` int64 event rows.
        """
        items = self.items.index_select(0, rows)  # as `take`
        requests = self.dataset.requests(rows, length=self.space.history_length, context=False)
        context = {name: take(column, rows) for name, column in self.context.items()}
        batch = {**self.space.query_batch(requests, context=context), **self.space.candidate_batch(items)}
        batch.update(user_index=requests.users, item_index=items, weight=self.weights.index_select(0, rows))
        if self.labels is not None:
            batch["label"] = self.labels.index_select(0, rows)
        return batch
