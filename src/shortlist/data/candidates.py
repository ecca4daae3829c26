"""What passes from one stage of the funnel to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from shortlist.data.ragged import Ragged, offsets_from_lengths
from shortlist.errors import ShapeError


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
        total = len(self.items.values)
        for name, column in {"scores": self.scores, "sources": self.sources, **self.features}.items():
            if len(column) != total:
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
        items = Ragged(self.items.values[positions], offsets_from_lengths(lengths))
        features = {name: column[positions] for name, column in self.features.items()}
        return Candidates(items, self.scores[positions], self.sources[positions], features)

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
        items, scores = self.items.values.numpy(force=True), -self.scores.numpy(force=True)
        # Row by row, since each fits in the cache, and a sort of all together would look at the rows as well.
        orders = [
            low + np.lexsort((items[low:high], scores[low:high]))
            for low, high in pairwise(self.items.offsets.tolist())
        ]
        order = torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *orders]))
        return self.take(order.to(self.items.device), self.lengths)

    def top(self, k: int) -> Candidates:
        """The first `k` of each request, in their present order."""
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
        found = items != 0
        ragged = Ragged.from_lengths(items[found], found.sum(1))
        sources = torch.full_like(ragged.values, 1 << source)
        return cls(ragged, scores[found], sources)
