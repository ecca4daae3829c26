"""The first stage: about a thousand candidates from the whole catalogue, found in several ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.rebinding import check_same_ids
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError
from shortlist.funnel.item_search import Embedder, ItemSearch, worth_indexing
from shortlist.models.baselines.popularity import Popularity
from shortlist.models.embedded_requests import EmbeddedRequests
from shortlist.models.recommender import Growing, Prepared, Recommender, fitted_data

RECIPROCAL_RANK_OFFSET = 60  # Cormack et al. (SIGIR 2009)


@dataclass
class Nearest:
    """The items that a trained model scores highest.

    From 50,000 items on, a model with embeddings is searched through an approximate index, unless `recall` is
    1: tens of microseconds instead of milliseconds a query. A model that is trained again is indexed again
    when it is next asked.

    Args:
        model: a trained `TwoTower`, `Sequential`, `EASE`, `ALS`, `ItemKNN` or any other Recommender.
        k: how many candidates.
        name: what `explain` and the ranker's features call this retriever; the model's class by default.
        recall: the share of the exact candidates that an approximate index should find; 1 searches exactly.

    Raises:
        ConfigError: `k` is less than 1, or `recall` is not above 0 and up to 1.
    """

    model: Recommender
    k: int = 1000
    name: str = ""
    recall: float = 0.95
    search: ItemSearch | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        _check_k(self.k, "Nearest")
        if not 0 < self.recall <= 1:
            raise ConfigError(
                f"recall is {self.recall!r}", where="Nearest", remedy="ask for a share above 0 and up to 1"
            )
        self.name = self.name or type(self.model).__name__.lower()

    def fit(self, data: Dataset) -> Nearest:
        """Check that the model was trained on this data, or on other events of the same users and items.

        Args:
            data: the events that requests come from.

        Returns:
            The retriever itself.

        Raises:
            ConfigError: users or items have other indices.
            NotFittedError: the model is not trained.
        """
        learned = fitted_data(self.model)
        remedy = "train it on this data, or give the data that it was trained on"
        check_same_ids(learned, data, what=f"the model of retriever {self.name!r}", remedy=remedy)
        self.indexed()
        return self

    def retrieve(
        self, requests: Requests, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The best items of the whole catalogue, or about; see `Recommender.retrieve`."""
        return self.find(self.model.prepare(requests), k, exclude=exclude, where=where)

    def find(
        self, prepared: Prepared, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `retrieve`, for requests that the model has prepared."""
        search = self.indexed()
        if search is None:
            return prepared.retrieve(k, exclude=exclude, where=where)
        if isinstance(prepared, EmbeddedRequests):
            return search.find(prepared.queries, k, exclude=exclude, where=where)
        assert isinstance(self.model, Embedder)
        return search.retrieve(self.model, prepared.requests, k, exclude=exclude, where=where)

    def with_items(self, data: Dataset, rows: Tensor) -> Nearest:
        """The same retriever for more items; see `Funnel.with_items`.

        Args:
            data: that `shortlist.data.growth.with_items` made.
            rows: `[n]` int64 indices of the items that are new or described anew.
        """
        if not isinstance(self.model, Growing):
            raise ConfigError(
                f"the model of retriever {self.name!r} cannot learn of new items",
                remedy=f"give {type(self.model).__name__} a method with_items(data, rows)",
            )
        grown = Nearest(self.model.with_items(data, rows), self.k, self.name, self.recall)
        if self.search is not None and isinstance(grown.model, Embedder):
            grown.search = self.search.with_items(grown.model, rows)
        return grown

    def indexed(self) -> ItemSearch | None:
        """The approximate index over the model as it is now, or None where an exact search is better."""
        model = self.model
        if self.recall == 1:
            return None
        if self.search is not None and self.search.stands_for(model):
            return self.search
        if not worth_indexing(model):
            return None
        assert isinstance(model, Embedder)
        self.search = ItemSearch.build(model, fitted_data(self.model), k=self.k, recall=self.recall)
        return self.search


@dataclass
class Popular:
    """The items with the most events; what a user without a history gets.

    Args:
        k: how many candidates.
        half_life: time after which an event counts half, such as `"30d"`; None counts all alike.
        name: what `explain` and the ranker's features call this retriever.

    Raises:
        ConfigError: `k` is less than 1.
    """

    k: int = 100
    half_life: str | None = None
    name: str = "popular"
    model: Recommender = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_k(self.k, "Popular")
        self.model = Popularity(half_life=self.half_life)

    def fit(self, data: Dataset) -> Popular:
        """Count the events of some data.

        Args:
            data: the events that requests come from.

        Returns:
            A retriever of its own, so that funnels on other data can share this one; itself where it
            counted these events already.
        """
        if self.model.data is data:
            return self
        counted = Popular(self.k, self.half_life, self.name)
        counted.model = Popularity(half_life=self.half_life).fit(data)
        return counted

    def with_items(self, data: Dataset, rows: Tensor) -> Popular:
        """The same retriever for more items, which nobody had an event with yet; see `Funnel.with_items`."""
        assert isinstance(self.model, Growing)
        grown = Popular(self.k, self.half_life, self.name)
        grown.model = self.model.with_items(data, rows)
        return grown

    def retrieve(
        self, requests: Requests, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The most popular items; see `Recommender.retrieve`."""
        return self.model.retrieve(requests, k, exclude=exclude, where=where)

    def find(
        self, prepared: Prepared, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `retrieve`, for requests that the model has prepared."""
        return prepared.retrieve(k, exclude=exclude, where=where)


Retriever = Nearest | Popular


def retrieve(
    retrievers: Sequence[Retriever],
    requests: Requests,
    *,
    at_least: int = 0,
    exclude: Ragged | None = None,
    where: Tensor | None = None,
) -> Candidates:
    """Ask every retriever and merge what they find.

    Args:
        retrievers: the ways to find candidates.
        requests: who asks.
        at_least: how many candidates a retriever whose own `k` is smaller is asked for.
        exclude: for each request, item indices that must not come back.
        where: `[num_items + 1]` bool, which items are allowed.

    Returns:
        Distinct items a request with, for each retriever, a feature `score_NAME`: its score for *every*
        merged item, whoever found it. With one retriever the candidates' score is its score; with several it
        is the sum of reciprocal ranks (Cormack et al. 2009), and the order follows it.
    """
    prepared = [each.model.prepare(requests) for each in retrievers]
    found = [
        each.find(ready, max(each.k, at_least), exclude=exclude, where=where)
        for each, ready in zip(retrievers, prepared, strict=True)
    ]
    lists = [Candidates.from_padded(*each, source=source) for source, each in enumerate(found)]
    if len(lists) == 1:
        only = lists[0]
        return only.with_scores(only.scores, **{f"score_{retrievers[0].name}": only.scores})
    merged = _fuse(lists)
    columns = {
        f"score_{each.name}": score_candidates(ready, merged)
        for each, ready in zip(retrievers, prepared, strict=True)
    }
    return merged.with_scores(merged.scores, **columns)


def score_candidates(prepared: Prepared, candidates: Candidates) -> Tensor:
    """A model's score of each candidate.

    Args:
        prepared: the requests, as the model needs them.
        candidates: one row a request.

    Returns:
        `[total]` float32.
    """
    width = int(candidates.lengths.max()) if len(candidates) else 0
    padded = candidates.items.to_padded(width)
    scores = prepared.score(padded)
    return scores[candidates.row_ids(), candidates.items.positions()].float()


def _fuse(lists: Sequence[Candidates]) -> Candidates:
    """Union of several lists a request; the score is the sum of reciprocal ranks."""
    batch = len(lists[0])
    rows = torch.cat([each.row_ids() for each in lists])
    items = torch.cat([each.items.values for each in lists])
    sources = torch.cat([each.sources for each in lists])
    # In double precision, so that equal sums are equal whatever order they were added in.
    gains = torch.cat([1 / (RECIPROCAL_RANK_OFFSET + 1 + each.items.positions()).double() for each in lists])
    span = int(items.max()) + 1 if len(items) else 1
    keys, owner = torch.unique(rows * span + items, return_inverse=True)
    merged_scores = torch.zeros(len(keys), dtype=torch.float64).index_add_(0, owner, gains).float()
    # Each retriever finds an item once, so adding its bits is the same as joining them.
    merged_sources = torch.zeros(len(keys), dtype=torch.int64).index_add_(0, owner, sources)
    lengths = torch.bincount(keys // span, minlength=batch)
    union = Candidates(Ragged.from_lengths(keys % span, lengths), merged_scores, merged_sources)
    return union.sorted()


def _check_k(k: int, where: str) -> None:
    if not isinstance(k, int) or k < 1:
        raise ConfigError(f"k must be a whole number from 1, got {k!r}", where=where, remedy="such as 100")
