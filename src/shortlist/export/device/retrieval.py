"""The first stage: candidates from the whole catalogue, found in several ways and merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import BundleError
from shortlist.export.device.adaptation import Feedback, adapted_query
from shortlist.export.device.candidates import Candidates
from shortlist.export.device.inputs import Inputs, Request
from shortlist.export.device.items import Rows
from shortlist.export.device.models import ExportedModel
from shortlist.export.device.vector_space import VectorSpace
from shortlist.export.manifest import FETCH_AGAIN

RECIPROCAL_RANK_OFFSET = 60  # Cormack et al. (SIGIR 2009)
Scores = NDArray[np.float32]


class Ranking(Protocol):
    """How a retriever ranks the items for one request."""

    def best(self, k: int, barred: Rows) -> Candidates:
        """The best rows but for some, best first; ties by lower row.

        Args:
            k: at most.
            barred: rows that must not come.
        """

    def scores(self, rows: Rows) -> Scores:
        """`[n]` the scores of some rows."""


class Retriever(Protocol):
    """A way to find candidates: `name`, what the ranker calls it, and `k`, how many it finds."""

    name: str
    k: int

    def ranking(self, inputs: Inputs, request: Request, feedback: Feedback) -> Ranking:
        """The ranking for a request, adapted to what was liked and disliked."""


@dataclass(frozen=True, eq=False)
class NearestTo:
    """The items by the dot products of their vectors with a query.

    Args:
        space: of the vectors.
        query: `[dim]`.
        given: of the rough product with the query, or None.
        shift: taken from every product; None for nothing.
    """

    space: VectorSpace
    query: NDArray[np.float32]
    given: Sequence[NDArray[Any]] | None = None
    shift: np.float32 | None = None

    def best(self, k: int, barred: Rows) -> Candidates:
        """See `Ranking.best`."""
        found = self.space.nearest(self.query, k, barred, given=self.given)
        return found if self.shift is None else Candidates(found.rows, found.scores - self.shift)

    def scores(self, rows: Rows) -> Scores:
        """See `Ranking.scores`."""
        products = self.space.products(rows, self.query)
        return products if self.shift is None else products - self.shift


class Nearest:
    """The items whose vectors have the greatest dot product with the query that a model makes.

    Args:
        name: what the ranker calls it.
        k: how many candidates.
        model: makes the query, and what `space.rough` makes of it.
        inputs: names of what the model reads.
        space: of the vectors.
    """

    def __init__(
        self, name: str, k: int, model: ExportedModel, inputs: Sequence[str], space: VectorSpace
    ) -> None:
        self.name, self.k = name, k
        self._model, self._inputs = model, tuple(inputs)
        self._space = space

    def ranking(self, inputs: Inputs, request: Request, feedback: Feedback) -> NearestTo:
        """See `Retriever.ranking`."""
        query, *given = self._model.run(inputs.feeds(self._inputs, request))
        width = self._space.vectors.shape[1]
        if query.shape != (1, width):
            raise BundleError(
                f"the query has shape {list(query.shape)}, the items' vectors {width} numbers each",
                where=self._model.where,
                remedy=FETCH_AGAIN,
            )
        if len(feedback) == 0:
            return NearestTo(self._space, query[0], given)
        adapted, shift = adapted_query(self._space, query[0], feedback)
        return NearestTo(self._space, adapted, shift=shift)


class Popular:
    """The items with the most events, whoever asks.

    Args:
        name: what the ranker calls it.
        k: how many candidates.
        popularity: `[rows]`.
    """

    def __init__(self, name: str, k: int, popularity: Scores) -> None:
        self.name, self.k = name, k
        self._popularity = popularity
        self._order: Rows = np.argsort(-popularity, kind="stable")

    def ranking(self, inputs: Inputs, request: Request, feedback: Feedback) -> Popular:
        """See `Retriever.ranking`."""
        return self

    def best(self, k: int, barred: Rows) -> Candidates:
        """See `Ranking.best`."""
        # Nobody needs more than the first k and as many more as are barred.
        head = self._order[: k + len(barred)]
        allowed = np.ones(len(self._order), np.bool_)
        allowed[barred] = False
        rows = head[allowed[head]][:k]
        return Candidates(rows, self._popularity[rows])

    def scores(self, rows: Rows) -> Scores:
        """See `Ranking.scores`."""
        return self._popularity[rows]


def retrieve(
    retrievers: Sequence[Retriever],
    rankings: Sequence[Ranking],
    *,
    at_least: int,
    barred: Rows,
    last: bool = False,
) -> Candidates:
    """Ask every retriever and merge what they find.

    Args:
        retrievers: the ways to find candidates.
        rankings: of each, for the request.
        at_least: how many candidates a retriever whose own `k` is smaller is asked for.
        barred: rows that must not come.
        last: whether no stage follows; then one retriever by itself gives no more than `at_least`.

    Returns:
        With one retriever its own list; with several the distinct rows, scored by the sum of reciprocal ranks
        (Cormack et al. 2009).
    """
    if last and len(retrievers) == 1:
        return rankings[0].best(at_least, barred)
    lists = [
        ranking.best(max(each.k, at_least), barred)
        for each, ranking in zip(retrievers, rankings, strict=True)
    ]
    return lists[0] if len(lists) == 1 else fuse([each.rows for each in lists])


def fuse(lists: Sequence[Rows]) -> Candidates:
    """Union of several lists of rows; the score is the sum of reciprocal ranks, ties by lower row."""
    # In double precision, so that equal sums are equal whatever order they were added in.
    gains = [1.0 / (RECIPROCAL_RANK_OFFSET + 1 + np.arange(len(each))) for each in lists]
    rows, owner = np.unique(np.concatenate(lists), return_inverse=True)
    scores = np.bincount(owner, np.concatenate(gains), minlength=len(rows)).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    return Candidates(rows[order], scores[order])
