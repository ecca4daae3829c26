"""What every model that recommends has in common: an answer in outside ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import polars as pl
import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.rebinding import check_same_ids
from shortlist.data.recommendations import Recommendations
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, NotFittedError
from shortlist.metrics import FactorizedTopK

if TYPE_CHECKING:
    from shortlist.models.evaluation import Evaluation


@runtime_checkable
class Growing(Protocol):
    """A model that can be asked for items which came after it was trained."""

    def with_items(self, data: Dataset, rows: Tensor) -> Recommender:
        """The model for a dataset with more items; itself it stays as it is.

        Args:
            data: that `shortlist.data.growth.with_items` made.
            rows: `[n]` int64 indices of the items that are new or described anew.
        """
        ...


@dataclass(frozen=True, eq=False)
class Prepared:
    """Requests as a model needs them: what is asked of it twice is computed once.

    Args:
        model: the model.
        requests: who asks.
    """

    model: Recommender
    requests: Requests

    def retrieve(
        self, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """See `Recommender.retrieve`."""
        return self.model.retrieve(self.requests, k, exclude=exclude, where=where)

    def score(self, items: Tensor) -> Tensor:
        """See `Recommender.score`."""
        return self.model.score(self.requests, items)


def answers_as(model: Recommender, base: type) -> bool:
    """Whether a model retrieves and scores as a class does, or a subclass wrote its own way.

    Args:
        model: of the class or a subclass.
        base: the class.
    """
    return all(getattr(type(model), name) is getattr(base, name) for name in ("retrieve", "score"))


class Recommender(ABC):
    """A model that ranks the catalogue for a request.

    A subclass writes `fit`, which sets `data`, and the two methods in index space, `retrieve` and `score`.
    """

    data: Dataset | None = None

    @abstractmethod
    def retrieve(
        self, requests: Requests, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The best items of the whole catalogue.

        Args:
            requests: who asks.
            k: how many items at most.
            exclude: for each request, item indices that must not come back.
            where: `[num_items + 1]` bool, which items are allowed; None allows all.

        Returns:
            Item indices `[batch, width]` int64, best first, equal scores by lower index, 0 where fewer than
            `k` items are allowed; and scores `[batch, width]` float32, `-inf` there. Both lie on the CPU,
            wherever the model is.
        """

    @abstractmethod
    def score(self, requests: Requests, items: Tensor) -> Tensor:
        """The scores of given items.

        Args:
            requests: who asks.
            items: `[batch, n]` int64 item indices.

        Returns:
            `[batch, n]` float32 on the CPU; higher is better.
        """

    def prepare(self, requests: Requests) -> Prepared:
        """Get ready to be asked several things about the same requests.

        Args:
            requests: who asks.
        """
        return Prepared(self, requests)

    def recommend(
        self,
        users: str | int | Sequence[str | int],
        k: int = 10,
        *,
        exclude_seen: bool = True,
        where: pl.Expr | None = None,
    ) -> Recommendations:
        """What to show to some users next.

        Args:
            users: one or several user ids; an unknown user is answered without a history.
            k: how many items a user.
            exclude_seen: whether items that the user had an event with are left out.
            where: a predicate over the columns of the item table.

        Returns:
            At most `k` recommendations a user, best first.

        Raises:
            NotFittedError: the model was not trained.
            ConfigError: `k` is less than 1.
        """
        data = fitted_data(self)
        _check_k(k)
        ids = pl.Series(data.schema.user_id, [users] if isinstance(users, str | int) else list(users))
        people = torch.from_numpy(data.people.encode(ids))
        exclude = data.seen.take(people) if exclude_seen else None
        allowed = None if where is None else data.catalogue.mask(where)
        items, scores = self.retrieve(data.requests_of(people), k, exclude=exclude, where=allowed)
        found = Candidates.from_padded(items, scores)
        return Recommendations.from_candidates(found, ids, data.catalogue, item_id=data.schema.item_id)

    def recommend_after(
        self,
        history: Sequence[str | int],
        k: int = 10,
        *,
        exclude_seen: bool = True,
        where: pl.Expr | None = None,
    ) -> Recommendations:
        """What to show next to somebody of whom a session is all that is known.

        Args:
            history: the session's item ids, oldest first; unknown ids are passed over.
            k: how many items.
            exclude_seen: whether the items of the session are left out.
            where: a predicate over the columns of the item table.

        Returns:
            At most `k` recommendations, best first; their user id is null.

        Raises:
            NotFittedError: the model was not trained.
            ConfigError: `k` is less than 1.
        """
        data = fitted_data(self)
        _check_k(k)
        index = torch.from_numpy(data.item_vocabulary.encode(list(history)))
        session = Ragged.from_lengths(index[index > 0], (index > 0).sum()[None])
        allowed = None if where is None else data.catalogue.mask(where)
        exclude = session if exclude_seen else None
        items, scores = self.retrieve(Requests.from_history(session), k, exclude=exclude, where=allowed)
        nobody = pl.Series(data.schema.user_id, [None], dtype=data.user_vocabulary.ids.dtype)
        found = Candidates.from_padded(items, scores)
        return Recommendations.from_candidates(found, nobody, data.catalogue, item_id=data.schema.item_id)

    def evaluate(
        self, test: Dataset, *, metrics: Sequence[FactorizedTopK] | None = None, exclude_seen: bool = True
    ) -> Evaluation:
        """Rank every test event's item among the whole catalogue; see `shortlist.models.evaluate`.

        Args:
            test: the test part of a split.
            metrics: what to measure; hit rate and NDCG at 10 and 100 by default.
            exclude_seen: whether items of the user's past are taken out of the ranking.

        Returns:
            The model's figures and popularity's.
        """
        from shortlist.models.evaluation import evaluate  # it compares with a Recommender, Popularity

        return evaluate(self, test, metrics=metrics, exclude_seen=exclude_seen)


def _check_k(k: int) -> None:
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}", remedy="ask for at least one item")


def fitted_data(model: Recommender) -> Dataset:
    """The data that a model was trained on.

    Raises:
        NotFittedError: it was not trained.
    """
    if model.data is None:
        raise NotFittedError(f"{type(model).__name__} is not trained", remedy="call fit(data) first")
    return model.data


def check_test_part(model: Recommender, test: Dataset) -> None:
    """Refuse a test part that was not split from the data that a model was trained on.

    Args:
        model: a trained model.
        test: what it is to be judged by.

    Raises:
        ConfigError: its users or items have other indices.
        NotFittedError: the model was not trained.
    """
    remedy = "fit the model on the train part of the split that gave this test part"
    check_same_ids(fitted_data(model), test, what=f"this {type(model).__name__}", remedy=remedy)
