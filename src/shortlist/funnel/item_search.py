"""An approximate index over a model's item embeddings, kept in step with the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.errors import BundleError
from shortlist.index import Approximate
from shortlist.models.recommender import Recommender

# With fewer items the exact search is as quick.
WORTHWHILE_ITEMS = 50_000
# Users whose queries the effort is chosen by, and as many others with whom the recall is measured.
SAMPLED_USERS = 256


@runtime_checkable
class Embedder(Protocol):
    """A model that scores an item by the dot product of its embedding with the request's."""

    item_vectors: Tensor

    def embed_queries(self, requests: Requests) -> Tensor:
        """`[batch, dim]` the requests' embeddings."""
        ...


@dataclass(frozen=True, eq=False)
class ItemSearch:
    """The index of one state of a model.

    Args:
        index: over the item indices, 1 to the number of items.
        vectors: the embeddings that it holds.
        version: how often these had been changed in place.
        recall: the share of the exact results that it found, for other users than it was tuned on where there
            are enough of them.
    """

    index: Approximate
    vectors: Tensor
    version: int
    recall: float

    @classmethod
    def build(cls, model: Embedder, data: Dataset, *, k: int, recall: float) -> ItemSearch:
        """Index the item embeddings of a model.

        Args:
            model: trained, on the CPU.
            data: whose users stand for those to come.
            k: how many candidates will be asked for.
            recall: to aim at.
        """
        people = torch.randperm(len(data.people), generator=torch.Generator().manual_seed(0))
        tuning, measuring = (
            model.embed_queries(data.requests_of(some))
            for some in (people[:SAMPLED_USERS], people[-SAMPLED_USERS:])
        )
        vectors = model.item_vectors
        items = vectors[1:]
        index = Approximate(items.shape[1], recall=recall)
        index.fit(np.arange(1, len(vectors)), items, queries=tuning)
        found = index.search(measuring, k).ids
        exact = index.search(measuring, k, effort=len(index)).ids
        hits = np.mean([len(np.intersect1d(some, all_)) for some, all_ in zip(found, exact, strict=True)])
        return cls(index, vectors, _version(vectors), float(hits) / found.shape[1])

    def save(self, file: Path) -> None:
        """Write the index; what else there is to know goes with the funnel's description."""
        self.index.save(file)

    @classmethod
    def load(cls, file: Path, model: Embedder, *, recall: float) -> ItemSearch:
        """Map the index that was saved with a model.

        Args:
            file: that `save` wrote.
            model: as it was when the index was built.
            recall: as measured then.

        Raises:
            BundleError: the file is damaged, or holds other items than the model has or searches otherwise.
        """
        index, vectors = Approximate.load(file), model.item_vectors
        if index.metric != "dot":
            raise BundleError(
                f"it searches by {index.metric!r}, not by inner product",
                where=str(file),
                remedy="save the bundle again",
            )
        if index.dim != vectors.shape[1] or not np.array_equal(index.ids, np.arange(1, len(vectors))):
            raise BundleError(
                f"it holds {len(index):,} items with {index.dim} values each, the model has "
                f"{len(vectors) - 1:,} with {vectors.shape[1]}",
                where=str(file),
                remedy="save the bundle again",
            )
        return cls(index, vectors, _version(vectors), recall)

    def with_items(self, model: Embedder, rows: Tensor) -> ItemSearch:
        """The index for a model that knows more items; searches of this one go on as before.

        Args:
            model: the same with other embeddings of some items.
            rows: `[n]` int64 indices of these items.
        """
        index, vectors = self.index.forked(), model.item_vectors
        known = rows < len(self.vectors)
        for some, change in ((rows[known], index.update), (rows[~known], index.add)):
            if len(some):
                change(some.numpy(), vectors[some])
        return ItemSearch(index, vectors, _version(vectors), self.recall)

    def stands_for(self, model: Recommender) -> bool:
        """Whether the model's embeddings are still those that were indexed."""
        vectors = getattr(model, "item_vectors", None)
        return vectors is self.vectors and _version(self.vectors) == self.version

    def retrieve(
        self, model: Embedder, requests: Requests, k: int, *, exclude: Ragged | None, where: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """As `Recommender.retrieve`, from the index."""
        return self.find(model.embed_queries(requests), k, exclude=exclude, where=where)

    def find(
        self, queries: Tensor, k: int, *, exclude: Ragged | None, where: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """As `retrieve`, for embedded requests, `[batch, dim]` float32."""
        found = self.index.search(queries, k, exclude=exclude, where=None if where is None else where[1:])
        return torch.from_numpy(found.ids).clamp(min=0), torch.from_numpy(found.scores)


def worth_indexing(model: Recommender) -> bool:
    """Whether an approximate index answers sooner than the model itself."""
    vectors = getattr(model, "item_vectors", None)
    if vectors is None or len(vectors) <= WORTHWHILE_ITEMS:
        return False
    return isinstance(model, Embedder) and vectors.device.type == "cpu"


def _version(vectors: Tensor) -> int:
    return 0 if vectors.is_inference() else vectors._version
