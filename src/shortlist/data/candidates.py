"""What passes from one stage of the funnel to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ShapeError
from shortlist.kernels.lists import list_best


@dataclass(frozen=True, eq=False)
class Candidates:
    """For each request of a batch, a list of items with a score; columns, no object an item.

    Args:
        items: `[batch]` rows of item indices, best first.
        scores: `[total]` float32, aligned with `items.values`.
        sources: `[total]` int64 bit masks: bit `r` is set when retriever `r` found the item.
        features: further columns `[total]`, such as the score that each retriever gave.

    Raises:
        ShapeError: a column is not as long as the items.
    """

    items: Ragged
    scores: Tensor
    sources: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        total = self.items.values.shape[0]
        for name, column in {"scores": self.scores, "sources": self.sources, **self.features}.items():
            if column.shape[0] != total:
                raise ShapeError(
                    f"{name} has {len(column)} values for {total} candidates", remedy="one value an item"
                )

    def __len__(self) -> int:
        """The number of requests."""
        return len(self.items)

    @property
    def lengths(self) -> Tensor:
        """`[batch]` int64, how many candidates each request has."""
        return self.items.lengths

    def row_ids(self) -> Tensor:
        """`[total]` int64, which request each candidate belongs to."""
        return self.items.row_ids()

    def take(self, positions: Tensor, lengths: Tensor) -> Candidates:
        """Pick candidates by their position in the flat columns.

        Args:
            positions: `[n]` int64 positions into `items.values`, request after request.
            lengths: `[batch]` int64, how many of them belong to each request; sums to `n`.
        """
        picked = self.items.values.index_select(0, positions)
        items = Ragged.single(picked) if len(self) == 1 else Ragged.from_lengths(picked, lengths)
        features = {name: column.index_select(0, positions) for name, column in self.features.items()}
        scores, sources = (column.index_select(0, positions) for column in (self.scores, self.sources))
        return Candidates(items, scores, sources, features)

    def keep(self, mask: Tensor) -> Candidates:
        """Drop the candidates whose mask is false; the order stays.

        Args:
            mask: `[total]` bool.
        """
        kept = torch.zeros(len(self), dtype=torch.int64, device=mask.device).index_add_(
            0, self.row_ids()[mask], mask[mask].long()
        )
        return self.take(mask.nonzero().flatten(), kept)

    def sorted(self) -> Candidates:
        """Each request's candidates by descending score; ties by lower item index."""
        return self.best(max(len(self.scores), 1))

    def best(self, k: int) -> Candidates:
        """The first `k` of each request by descending score; ties by lower item index.

        Args:
            k: at least 1.
        """
        scores, items = self.scores.float().cpu(), self.items.values.cpu()
        order = list_best(scores, self.items.offsets.cpu(), items, k)
        return self.take(order.to(self.items.device), self.lengths.clamp(max=k))

    def top(self, k: int) -> Candidates:
        """The first `k` of each request, in their present order."""
        if len(self) == 1:
            features = {name: column[:k] for name, column in self.features.items()}
            items = Ragged.single(self.items.values[:k])
            return Candidates(items, self.scores[:k], self.sources[:k], features)
        first = (self.items.positions() < k).nonzero().flatten()
        return self.take(first, self.lengths.clamp(max=k))

    def with_scores(self, scores: Tensor, **features: Tensor) -> Candidates:
        """The same items with other scores, and perhaps further columns; the order stays.

        Args:
            scores: `[total]` float32.
            **features: columns to add, `[total]` each.
        """
        return Candidates(self.items, scores, self.sources, {**self.features, **features})

    @classmethod
    def concatenate(cls, parts: Sequence[Candidates]) -> Candidates:
        """Stack the lists of several batches, one after another."""
        return cls(
            Ragged.concatenate([part.items for part in parts]),
            torch.cat([part.scores for part in parts]),
            torch.cat([part.sources for part in parts]),
            {name: torch.cat([part.features[name] for part in parts]) for name in parts[0].features},
        )

    @classmethod
    def from_padded(cls, items: Tensor, scores: Tensor, *, source: int = 0) -> Candidates:
        """Build from rectangular results.

        Args:
            items: `[batch, width]` int64, 0 where there is no item.
            scores: `[batch, width]` float32.
            source: number of the retriever that found them.
        """
        if items.shape[0] == 1 and bool(items.all()):  # a lone request, which waits
            row = Ragged.single(items[0])
            return cls(row, scores[0], torch.full_like(row.values, 1 << source))
        found = items != 0
        if items.numel() and bool(found.all()):  # as usual, and then nothing need be picked
            bounds = torch.arange(0, items.numel() + 1, items.shape[1], device=items.device)
            ragged, kept = Ragged(items.flatten(), bounds), scores.flatten()
        else:
            ragged, kept = Ragged.from_lengths(items[found], found.sum(1)), scores[found]
        return cls(ragged, kept, torch.full_like(ragged.values, 1 << source))
