"""Judged items in lists: what learning to rank learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
        labels: `[documents]` float32, how relevant each document is, or how often it was clicked.
        offsets: `[queries + 1]` int64; query i's documents are rows `offsets[i]` to `offsets[i + 1]`.
        queries: the queries' names; their numbers where the file gave none.
        columns: the features' names; empty where the file gave none.
        positions: `[documents]` int64, the place from 0 at which each document was shown; None where nobody
            was shown them.
        item_weights: `[documents]` float32, 0 or more, such as inverse propensities; None for 1.
        list_weights: `[queries]` float32, 0 or more; None for 1.

    Raises:
        ShapeError: positions or weights are not one a document or query.
    """

    features: Tensor
    labels: Tensor
    offsets: Tensor
    queries: tuple[str, ...]
    columns: tuple[str, ...] = ()
    positions: Tensor | None = None
    item_weights: Tensor | None = None
    list_weights: Tensor | None = None

    def __post_init__(self) -> None:
        documents, queries = (len(self.labels),), (len(self.queries),)
        for name, wanted in (
            ("positions", documents), ("item_weights", documents), ("list_weights", queries),
        ):  # fmt: skip
            column = getattr(self, name)
            if column is not None and column.shape != wanted:
                raise ShapeError(
                    f"{name} are {tuple(column.shape)}, not {wanted}",
                    remedy=f"pass one number a {'query' if name == 'list_weights' else 'document'}",
                )

    def __len__(self) -> int:
        """The number of queries."""
        return len(self.queries)

    def take(self, rows: Tensor) -> RankingTable:
        """The lists of some queries.

        Args:
            rows: `[n]` int64 query numbers, in the order wanted.
        """
        chosen = Ragged(torch.arange(len(self.labels)), self.offsets).take(rows)
        kept = chosen.values
        return RankingTable(
            self.features[kept],
            self.labels[kept],
            chosen.offsets,
            tuple(self.queries[row] for row in rows.tolist()),
            self.columns,
            positions=None if self.positions is None else self.positions[kept],
            item_weights=None if self.item_weights is None else self.item_weights[kept],
            list_weights=None if self.list_weights is None else self.list_weights[rows],
        )

    def with_relative_features(self) -> RankingTable:
        """The same lists with three times as many features, see `shortlist.data.relative_to_list`."""
        relative = relative_to_list(Ragged(self.features, self.offsets))
        columns = (
            *self.columns,
            *(f"{name}_{kind}" for kind in ("standard", "rank") for name in self.columns),
        )
        return replace(self, features=torch.cat([self.features, relative], dim=1), columns=columns)

    @classmethod
    def concatenate(cls, parts: Sequence[RankingTable]) -> RankingTable:
        """Stack the lists of several tables, one after another.

        Args:
            parts: tables with the same columns.

        Raises:
            ShapeError: the tables have different numbers of features, or some have positions or weights that
                others lack.
        """
        widths = {part.features.shape[1] for part in parts}
        if len(widths) != 1:
            raise ShapeError(
                f"the tables have {sorted(widths)} features", remedy="read them with the same num_features"
            )
        lists = Ragged.concatenate([Ragged(part.features, part.offsets) for part in parts])
        return cls(
            lists.values,
            torch.cat([part.labels for part in parts]),
            lists.offsets,
            tuple(name for part in parts for name in part.queries),
            parts[0].columns,
            positions=_joined(parts, "positions"),
            item_weights=_joined(parts, "item_weights"),
            list_weights=_joined(parts, "list_weights"),
        )

    def batch(self) -> Batch:
        """All lists as one batch, see `RankingTableLoader`."""
        batch: Batch = {"features": Ragged(self.features, self.offsets), "label": self.labels}
        for name, column in (
            ("position", self.positions),
            ("item_weight", self.item_weights),
            ("list_weight", self.list_weights),
        ):
            if column is not None:
                batch[name] = column
        return batch


class RankingTableLoader:
    """The lists of a table in batches, in an order of its own every epoch.

    A batch holds `features`, a Ragged of `[total, num_features]` values with one row a query, and `label`,
    `[total]`; where the table has them also `position` and `item_weight`, `[total]`, and `list_weight`,
    `[queries]`.

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
            yield self.table.take(order[first : first + self.batch_size]).batch()


def _joined(parts: Sequence[RankingTable], name: str) -> Tensor | None:
    columns = [getattr(part, name) for part in parts]
    given = [column for column in columns if column is not None]
    if not given:
        return None
    if len(given) < len(parts):
        raise ShapeError(
            f"{len(given)} of {len(parts)} tables have {name}", remedy=f"give all of them {name}, or none"
        )
    return torch.cat(given)
