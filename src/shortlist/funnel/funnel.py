"""The whole way from a user to a dozen items: retrievers, ranker, post-rankers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.dataset import Dataset
from shortlist.data.growth import with_items
from shortlist.data.ragged import Ragged
from shortlist.data.recommendations import Recommendations
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError
from shortlist.funnel.checks import check_stages, stage_names
from shortlist.funnel.explain import Explanation, explain_trace, reasons
from shortlist.funnel.rank import Scored
from shortlist.funnel.retrieve import Retriever, retrieve
from shortlist.models.recommender import fitted_data
from shortlist.models.sequential import Sequential
from shortlist.models.two_tower import TwoTower
from shortlist.postrank import PostRanker

REQUEST_BATCH = 256  # requests that go through the stages together; bounds the memory of the candidates


@dataclass(frozen=True, eq=False)
class Trace:
    """What each stage of a funnel let through for a batch of requests.

    Args:
        stages: the stages' names and what came out of each, from retrieval to the final list.
    """

    stages: tuple[tuple[str, Candidates], ...]

    @property
    def final(self) -> Candidates:
        """The final list."""
        return self.stages[-1][1]


class Funnel:
    """Retrievers, a ranker and post-rankers, as one.

    Args:
        retrieve: one or several retrievers; what they find is merged.
        rank: orders the candidates and keeps the best; None keeps the retrieval's order.
        postrank: reorder or drop for diversity, freshness, fairness and rules, in this order.
        size: how many items a request gets by default.
        data: the events that histories and seen items come from; by default those that the first
            retriever was trained on.
        seed: of the post-rankers that explore.

    Raises:
        ConfigError: there is no retriever, two have one name, one was trained on data with other users or
            items, the ranker reads a score that none of them gives, the data is a test part, or `size` is
            less than 1.
        NotFittedError: a retriever or the ranker is not trained.

    Warns:
        OrderUndone: a post-ranker that sorts by score stands behind one that reorders.
    """

    def __init__(
        self,
        *,
        retrieve: Sequence[Retriever],
        rank: Scored | None = None,
        postrank: Sequence[PostRanker] = (),
        size: int = 12,
        data: Dataset | None = None,
        seed: int = 0,
    ) -> None:
        check_stages(retrieve, rank, postrank, size)
        self.postrank, self.stages = tuple(postrank), stage_names(rank, postrank)
        self.size, self.seed = size, seed
        trained = [each.model for each in retrieve if each.model.data is not None]
        if data is None and not trained:
            raise ConfigError(
                "no retriever is trained and no data is given", remedy="pass data=, or a trained model"
            )
        self.data: Dataset = fitted_data(trained[0]) if data is None else data
        if self.data.past is not None:  # its users' histories would hold what is to be predicted
            raise ConfigError(
                "the funnel stands on a test part", remedy="build it on the train part or the whole data"
            )
        self.retrievers: tuple[Retriever, ...] = tuple(each.fit(self.data) for each in retrieve)
        self.rank = None if rank is None else replace(rank, ranker=rank.ranker.bound_to(self.data))
        self.catalogue = self._catalogue()

    def run(
        self,
        requests: Requests,
        *,
        size: int | None = None,
        exclude: Ragged | None = None,
        where: Tensor | None = None,
    ) -> Trace:
        """Send requests through all stages and keep what comes out of each.

        Args:
            requests: who asks.
            size: length of the final lists; the funnel's own by default.
            exclude: for each request, item indices that must not come back.
            where: `[num_items + 1]` bool, which items are allowed.
        """
        size = self.size if size is None else size
        with torch.inference_mode():
            current = retrieve(self.retrievers, requests, at_least=size, exclude=exclude, where=where)
            lists = [current]
            if self.rank is not None:
                current = self.rank.rank(requests, current, at_least=size)
                lists.append(current)
            for number, stage in enumerate(self.postrank):
                current = stage.rerank(
                    current, size=size, catalogue=self.catalogue, requests=requests, seed=self.seed + number
                )
                lists.append(current)
            lists.append(current.top(size))
        return Trace(tuple(zip(self.stages, lists, strict=True)))

    def retrieve(
        self, requests: Requests, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The final lists in index space, padded; see `Recommender.retrieve`.

        Fewer than `k` items come back where the post-rankers let fewer through.
        """
        final = Candidates.concatenate([part for _, part in self._answer(requests, k, exclude, where)])
        width = int(final.lengths.max()) if len(final) else 0
        scores = Ragged(final.scores, final.items.offsets).to_padded(width, value=-torch.inf)
        return final.items.to_padded(width), scores

    def recommend(
        self,
        users: str | int | Sequence[str | int],
        k: int | None = None,
        *,
        exclude_seen: bool = True,
        where: pl.Expr | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Recommendations:
        """What to show to some users.

        Args:
            users: one or several user ids; an unknown user is answered without a history.
            k: how many items a user; the funnel's `size` by default.
            exclude_seen: whether items that the user had an event with are left out.
            where: a predicate over the columns of the item table.
            context: values of context columns, such as `{"device": "phone"}`, the same for all the users.

        Returns:
            Recommendations with the item columns and, in `why`, the reason for each.
        """
        ids, requests, exclude, allowed = self._ask(users, exclude_seen, where, context)
        parts = list(self._answer(requests, self._size(k), exclude, allowed))
        why = [reasons(final, asked, self.retrievers, self.catalogue) for asked, final in parts]
        return Recommendations.from_candidates(
            Candidates.concatenate([final for _, final in parts]),
            ids,
            self.catalogue,
            item_id=self.data.schema.item_id,
            why=pl.concat(why),
        )

    def explain(
        self,
        user: str | int,
        k: int | None = None,
        *,
        exclude_seen: bool = True,
        where: pl.Expr | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Explanation:
        """How one user's recommendations came about: the list after every stage, with scores and reasons.

        Args:
            user: a user id.
            k: how many items; the funnel's `size` by default.
            exclude_seen: whether items that the user had an event with are left out.
            where: a predicate over the columns of the item table.
            context: values of context columns.
        """
        ids, requests, exclude, allowed = self._ask(user, exclude_seen, where, context)
        trace = self.run(requests, size=self._size(k), exclude=exclude, where=allowed)
        return explain_trace(trace.stages, ids, requests, self.retrievers, self.catalogue, self.data.schema)

    def with_items(self, items: pl.DataFrame) -> Funnel:
        """The same funnel with some items more, or with other values of known ones; nothing is trained.

        A model with an item tower recommends a new item by its features at once; the others, which know items
        by their events alone, wait for the next training.

        Args:
            items: one row an item, with the item id column and any columns of the catalogue. What is not
                given stays, and is missing for a new item.

        Returns:
            A funnel of its own that shares with this one what did not change. Where this one has an
            approximate index, the new one goes on with it, so make further changes to the new one only.

        Raises:
            SchemaError: a column is unknown, or its values are of another type than the catalogue's.
            DataError: an id is missing or comes twice.
            ConfigError: a retriever's model cannot learn of new items.
        """
        data, rows = with_items(self.data, items)
        grown = copy.copy(self)
        grown.data = data
        grown.retrievers = tuple(each.with_items(data, rows) for each in self.retrievers)
        if self.rank is not None:
            grown.rank = replace(self.rank, ranker=self.rank.ranker.with_items(data, rows))
        grown.catalogue = grown._catalogue()
        return grown

    def save(self, path: str | Path) -> None:
        """Write the whole funnel as one bundle; see `shortlist.funnel.bundle.save_bundle`."""
        from shortlist.funnel.bundle import save_bundle

        save_bundle(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Funnel:
        """Read a bundle; see `shortlist.funnel.bundle.load_bundle`."""
        from shortlist.funnel.bundle import load_bundle

        return load_bundle(path)

    def _answer(
        self, requests: Requests, size: int, exclude: Ragged | None, where: Tensor | None
    ) -> Iterator[tuple[Requests, Candidates]]:
        """The final lists of some requests at a time, with the requests."""
        for rows in torch.split(torch.arange(len(requests)), REQUEST_BATCH):
            asked, hidden = requests.take(rows), None if exclude is None else exclude.take(rows)
            final = self.run(asked, size=size, exclude=hidden, where=where).final
            yield asked, Candidates(final.items, final.scores, final.sources)

    def _ask(
        self,
        users: str | int | Sequence[str | int],
        exclude_seen: bool,
        where: pl.Expr | None,
        context: Mapping[str, Any] | None,
    ) -> tuple[pl.Series, Requests, Ragged | None, Tensor | None]:
        data = self.data
        ids = pl.Series(data.schema.user_id, [users] if isinstance(users, str | int) else list(users))
        people = torch.from_numpy(data.people.encode(ids))
        plain = data.requests_of(people)
        frame = (
            pl.DataFrame({name: [value] * len(ids) for name, value in context.items()}) if context else None
        )
        requests = Requests(plain.users, plain.history, plain.history_times, plain.times, frame)
        exclude = data.seen.take(people) if exclude_seen else None
        return ids, requests, exclude, None if where is None else self.catalogue.mask(where)

    def _size(self, k: int | None) -> int:
        if k is not None and k < 1:
            raise ConfigError(f"k must be at least 1, got {k}", remedy="ask for at least one item")
        return self.size if k is None else k

    def _catalogue(self) -> Catalogue:
        """The items with the embeddings of the first retriever that has any."""
        plain = self.data.catalogue
        for each in self.retrievers:
            if isinstance(each.model, TwoTower | Sequential):
                return Catalogue(plain.items, plain.vocabulary, vectors=each.model.item_vectors.cpu())
        return plain
