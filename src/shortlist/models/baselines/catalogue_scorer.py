"""What the baselines have in common: they score the whole catalogue from a request's history."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.errors import BundleError, ConfigError, NotFittedError, ShapeError
from shortlist.models.baselines.interactions import distinct_known
from shortlist.models.baselines.top_k_scores import top_k_scores
from shortlist.models.recommender import Prepared, Recommender, answers_as

# Scores that are held at once, so that memory does not grow with the number of requests: 64 MB.
BLOCK_SCORES = 1 << 24


class CatalogueScorer(ABC):
    """The methods of a model that learns a few tensors and scores every item from a history.

    A request none of whose history was seen in training gets the most popular items. Items that were never
    seen in training score 0.

    A subclass names its tensors in `tensor_names` and sets them in `fit`; `"popularity"`,
    `[num_items + 1]` float32, 0 for items never seen in training, is one of them.
    """

    tensor_names: ClassVar[tuple[str, ...]]
    data: Dataset | None

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON can hold them."""

    @abstractmethod
    def _score_history(self, history: Ragged, counts: Tensor) -> Tensor:
        """Score all items for each row of distinct items seen in training.

        Args:
            history: `[batch]` rows of item indices, ascending.
            counts: int64, aligned with its values: how often each item occurs.

        Returns:
            `[batch, num_items + 1]` float32, newly allocated.
        """

    def _fits_together(self) -> bool:
        """Whether tensors that were read from a file have the shapes and the item indices that `fit` gives.

        Beyond them, indices are used without a check.
        """
        popularity = self._fitted("popularity")
        return popularity.ndim == 1 and popularity.dtype == torch.float32

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.config().items())
        return f"{type(self).__name__}({arguments})"

    @property
    def num_items(self) -> int:
        """The number of items that the model was fitted with, the unknown item not counted."""
        return len(self._fitted("popularity")) - 1

    def with_items(self, data: Dataset, rows: Tensor) -> Self:
        """The model for more items, which were never seen in training; see `Growing`."""
        grown = copy.copy(self)
        more = len(data.item_vocabulary) - len(self._fitted("popularity"))
        grown._tensors = {name: self._padded(name, tensor, more) for name, tensor in self._tensors.items()}
        grown.data = data
        return grown

    def _padded(self, name: str, tensor: Tensor, more: int) -> Tensor:
        """A learned tensor for some items more."""
        return pad(tensor, (0, more)) if name == "popularity" else tensor

    def state(self) -> dict[str, Tensor]:
        """What was learnt: contiguous tensors by name, to be saved as they are.

        Raises:
            NotFittedError: the model was not fitted.
        """
        return {name: self._fitted(name).contiguous() for name in self.tensor_names}

    @classmethod
    def from_state(cls, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Self:
        """Rebuild a fitted model from its `config()` and `state()`; it gives the same scores, bit for bit.

        Args:
            config: the constructor's arguments.
            state: the tensors by name.

        Raises:
            BundleError: the state holds other tensors than this model's, or they do not fit together.
        """
        if set(state) != set(cls.tensor_names):
            raise BundleError(
                f"the state of {cls.__name__} holds {sorted(state)} instead of {sorted(cls.tensor_names)}",
                remedy="load it with the class that saved it, or fit and save the model again",
            )
        model = cls(**config)
        model._tensors = dict(state)
        if not model._fits_together():
            raise BundleError(
                f"the tensors of {cls.__name__} do not fit together", remedy="fit and save the model again"
            )
        return model

    def retrieve(
        self, requests: Requests, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The best items of each request.

        Args:
            requests: who asks.
            k: how many items.
            exclude: `[batch]` rows of item indices not to return, such as those already seen.
            where: `[num_items + 1]` bool, the items that may be returned; None for all.

        Returns:
            Items `[batch, min(k, num_items)]` int64 and float32 scores, best first, equal scores by lower
            item index. Where fewer items are allowed, the last places hold 0 and -inf.

        Raises:
            NotFittedError: the model was not fitted.
            ConfigError: `k` is less than 1.
            ShapeError: `exclude` or `where` does not fit.
        """
        num_items = self.num_items
        items = _allowed_items(where, num_items)
        _check_retrieval(requests, k, exclude)
        width = min(k, num_items)
        found = torch.zeros(len(requests), width, dtype=torch.int64)
        scores = torch.full((len(requests), width), -torch.inf)
        for rows in _blocks(len(requests), num_items):
            excluded = None if exclude is None else exclude.take(rows)
            best = self._best_of(requests.history.take(rows), items, width, excluded)
            found[rows], scores[rows] = _widened(best, width)
        return found, scores

    def score(self, requests: Requests, items: Tensor) -> Tensor:
        """The scores of given items.

        Args:
            requests: who asks.
            items: `[batch, n]` int64 item indices.

        Returns:
            `[batch, n]` float32; -inf for item 0.

        Raises:
            NotFittedError: the model was not fitted.
            ShapeError: `items` has another number of rows, or an index outside the catalogue.
        """
        check_items(requests, items, self.num_items)
        scores = torch.empty(items.shape)
        for rows in _blocks(len(requests), self.num_items):
            scores[rows] = self._score_catalogue(requests.history.take(rows)).gather(1, items[rows])
        return scores.masked_fill_(items == 0, -torch.inf)

    def prepare(self, requests: Requests) -> Prepared:
        """Score the whole catalogue once, where that is not too much to hold."""
        assert isinstance(self, Recommender)
        too_many = len(requests) * (self.num_items + 1) > BLOCK_SCORES
        if too_many or not answers_as(self, CatalogueScorer):
            return Prepared(self, requests)
        return ScoredRequests(self, requests, self._score_catalogue(requests.history))

    def _best_of(
        self, history: Ragged, items: Tensor, k: int, exclude: Ragged | None
    ) -> tuple[Tensor, Tensor]:
        """The best of some items, at most k, for one block of requests."""
        return _best_columns(self._score_catalogue(history), items, k, exclude)

    def _score_catalogue(self, history: Ragged) -> Tensor:
        popularity = self._fitted("popularity")
        known, counts = distinct_known(history, popularity > 0)
        scores = self._score_history(known, counts)
        scores[known.lengths == 0] = popularity
        return scores

    def _fitted(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise NotFittedError(
                f"this {type(self).__name__} was not fitted",
                remedy="call fit(data) with the train part first",
            )
        return self._tensors[name]


@dataclass(frozen=True, eq=False)
class ScoredRequests(Prepared):
    """Requests with the scores of all items.

    Args:
        scores: `[batch, num_items + 1]` float32.
    """

    scores: Tensor

    def retrieve(
        self, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The best of the scores."""
        num_items = self.scores.shape[1] - 1
        items = _allowed_items(where, num_items)
        _check_retrieval(self.requests, k, exclude)
        width = min(k, num_items)
        return _widened(_best_columns(self.scores.clone(), items, width, exclude), width)

    def score(self, items: Tensor) -> Tensor:
        """The scores of some items."""
        check_items(self.requests, items, self.scores.shape[1] - 1)
        return self.scores.gather(1, items).masked_fill_(items == 0, -torch.inf)


def _best_columns(scores: Tensor, items: Tensor, k: int, exclude: Ragged | None) -> tuple[Tensor, Tensor]:
    """The best of some items by the scores of all, which may be overwritten."""
    columns = scores[:, 1:] if len(items) == scores.shape[1] - 1 else scores[:, items]
    return top_k_scores(columns, items, k, exclude=exclude)


def _widened(best: tuple[Tensor, Tensor], width: int) -> tuple[Tensor, Tensor]:
    """Lists filled up to a width: no item, and the score of none."""
    missing = (0, width - best[0].shape[1])
    return pad(best[0], missing), pad(best[1], missing, value=-torch.inf)


def _blocks(rows: int, num_items: int) -> list[Tensor]:
    """Row numbers, so many at a time that a block of scores stays within `BLOCK_SCORES`."""
    size = max(1, BLOCK_SCORES // (num_items + 1))
    return [torch.arange(start, min(start + size, rows)) for start in range(0, rows, size)]


def _allowed_items(where: Tensor | None, num_items: int) -> Tensor:
    """Indices of the items that may be returned, ascending."""
    if where is None:
        return torch.arange(1, num_items + 1)
    if where.shape != (num_items + 1,) or where.dtype != torch.bool:
        raise ShapeError(
            f"where is {where.dtype} {list(where.shape)} for {num_items} items",
            remedy=f"give a bool mask of {num_items + 1} values, one an item index from 0",
        )
    return where[1:].nonzero().flatten() + 1


def _check_retrieval(requests: Requests, k: int, exclude: Ragged | None) -> None:
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}", remedy="ask for one item or more")
    if exclude is not None and len(exclude) != len(requests):
        raise ShapeError(
            f"exclude has {len(exclude)} rows for {len(requests)} requests", remedy="give one row a request"
        )


def check_items(requests: Requests, items: Tensor, num_items: int) -> None:
    """Refuse items that cannot be scored.

    Args:
        requests: who asks.
        items: must be int64 `[batch, n]` item indices.
        num_items: of the catalogue.

    Raises:
        ShapeError: they are not.
    """
    if items.ndim != 2 or len(items) != len(requests) or items.dtype != torch.int64:
        raise ShapeError(
            f"items is {items.dtype} {list(items.shape)} for {len(requests)} requests",
            remedy="give int64 item indices [batch, n], one row a request",
        )
    if items.numel() and not 0 <= int(items.min()) <= int(items.max()) <= num_items:
        raise ShapeError(
            f"items holds indices from {int(items.min())} to {int(items.max())}; "
            f"the model was fitted with {num_items} items",
            remedy="encode the ids with the vocabulary of the dataset that the model was fitted on",
        )
