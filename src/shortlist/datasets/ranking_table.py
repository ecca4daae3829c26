"""Judged items in lists: what learning to rank learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.data.feature_space import Batch
from shortlist.data.list_features import relative_to_list
from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, ShapeError


@dataclass(frozen=True, eq=False)
class RankingTable:
    """Documents with features and labels, in lists by query.

    Args:
        features: `[documents, num_features]` float32.
        labels: `[documents]` float32, how relevant each document is.
        offsets: `[queries + 1]` int64; query i's documents are rows `offsets[i]` to `offsets[i + 1]`.
        queries: the queries' names; their numbers where the file gave none.
        columns: the features' names; empty where the file gave none.
    """

    features: Tensor
    labels: Tensor
    offsets: Tensor
    queries: tuple[str, ...]
    columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of queries."""
        return len(self.queries)

    def take(self, rows: Tensor) -> RankingTable:
        """The lists of some queries.

        Args:
            rows: `[n]` int64 query numbers, in the order wanted.
        """
        chosen = Ragged(torch.arange(len(self.labels)), self.offsets).take(rows)
        names = tuple(self.queries[row] for row in rows.tolist())
        kept = chosen.values
        return RankingTable(self.features[kept], self.labels[kept], chosen.offsets, names, self.columns)

    def with_relative_features(self) -> RankingTable:
        """The same lists with three times as many features, see `shortlist.data.relative_to_list`."""
        relative = relative_to_list(Ragged(self.features, self.offsets))
        columns = (
            *self.columns,
            *(f"{name}_{kind}" for kind in ("standard", "rank") for name in self.columns),
        )
        features = torch.cat([self.features, relative], dim=1)
        return RankingTable(features, self.labels, self.offsets, self.queries, columns)

    @classmethod
    def concatenate(cls, parts: Sequence[RankingTable]) -> RankingTable:
        """Stack the lists of several tables, one after another.

        Args:
            parts: tables with the same columns.

        Raises:
            ShapeError: the tables have different numbers of features.
        """
        widths = {part.features.shape[1] for part in parts}
        if len(widths) != 1:
            raise ShapeError(
                f"the tables have {sorted(widths)} features", remedy="read them with the same num_features"
            )
        lists = Ragged.concatenate([Ragged(part.features, part.offsets) for part in parts])
        labels = torch.cat([part.labels for part in parts])
        queries = tuple(name for part in parts for name in part.queries)
        return cls(lists.values, labels, lists.offsets, queries, parts[0].columns)

    def batch(self) -> Batch:
        """All lists as one batch, see `RankingTableLoader`."""
        return {"features": Ragged(self.features, self.offsets), "label": self.labels}


class RankingTableLoader:
    """The lists of a table in batches, in an order of its own every epoch.

    A batch holds `features`, a Ragged of `[total, num_features]` values with one row a query, and `label`,
    `[total]`.

    Args:
        table: what to go through.
        batch_size: queries a batch.
        seed: of the order.

    Raises:
        ConfigError: the batch size is less than 1.
    """

    def __init__(self, table: RankingTable, *, batch_size: int, seed: int = 0) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}", remedy="give at least 1, such as 64")
        self.table, self.batch_size, self.seed = table, batch_size, seed
        self._places = Ragged(torch.arange(len(table.labels)), table.offsets)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.table) // self.batch_size)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Go through all queries once.

        Args:
            number: the epoch's number, from 0; decides the order.
            start: first batch.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        order = torch.randperm(len(self.table), generator=generator)
        for first in range(start * self.batch_size, len(order), self.batch_size):
            chosen = self._places.take(order[first : first + self.batch_size])
            features = Ragged(self.table.features[chosen.values], chosen.offsets)
            yield {"features": features, "label": self.table.labels[chosen.values]}
