"""Requests that were embedded once, to search with and to score by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.kernels import top_k
from shortlist.models.recommender import Prepared


@dataclass(frozen=True, eq=False)
class EmbeddedRequests(Prepared):
    """Requests as embeddings, to be multiplied with those of the items.

    Args:
        queries: `[batch, dim]` float32.
        item_vectors: `[num_items + 1, dim]` float32.
    """

    queries: Tensor
    item_vectors: Tensor

    def retrieve(
        self, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The items with the largest dot products; exact."""
        hidden = None if exclude is None else Ragged(exclude.values - 1, exclude.offsets)
        allowed = None if where is None else where[1:].to(self.queries.device)
        rows, scores = top_k(self.item_vectors[1:], self.queries, k, exclude=hidden, where=allowed)
        return rows.cpu() + 1, scores.cpu()

    def score(self, items: Tensor) -> Tensor:
        """The dot products with some items."""
        vectors = self.item_vectors[items.to(self.queries.device)]
        return torch.einsum("bd,bnd->bn", self.queries, vectors).cpu()
