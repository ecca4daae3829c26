"""The first stage: candidates from the whole catalogue, found in several ways and merged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import BundleError
from shortlist.export.device.adaptation import Feedback, VectorSpace, adapted_scores
from shortlist.export.device.candidates import Candidates, best_rows
from shortlist.export.device.inputs import Inputs, Request
from shortlist.export.device.items import Mask, Rows
from shortlist.export.device.models import ExportedModel
from shortlist.export.manifest import FETCH_AGAIN

RECIPROCAL_RANK_OFFSET = 60  # Cormack et al. (SIGIR 2009)
Scores = NDArray[np.float32]


class Nearest:
    """The items whose vectors have the greatest dot product with the query that a model makes.

    Args:
        name: what the ranker calls it.
        k: how many candidates.
        model: makes the query.
        inputs: names of what the model reads.
        space: of the vectors.
    """

    def __init__(
        self, name: str, k: int, model: ExportedModel, inputs: Sequence[str], space: VectorSpace
    ) -> None:
        self.name, self.k = name, k
        self._model, self._inputs = model, tuple(inputs)
        self._space = space

    def scores(self, inputs: Inputs, request: Request, feedback: Feedback) -> Scores:
        """`[rows]` the score of every row, adapted to what was liked and disliked."""
        (query,) = self._model.run(inputs.feeds(self._inputs, request))
        width = self._space.vectors.shape[1]
        if query.shape != (1, width):
            raise BundleError(
                f"the query has shape {list(query.shape)}, the items' vectors {width} numbers each",
                where=self._model.where,
                remedy=FETCH_AGAIN,
            )
        return adapted_scores(self._space, query[0], feedback)

    def best(self, scores: Scores, k: int, allowed: Mask) -> Candidates:
        """The best of the allowed rows.

        Args:
            scores: `[rows]`.
            k: at most.
            allowed: `[rows]`.
        """
        return best_rows(scores, k, allowed)


class Popular:
    """The items with the most events.

    Args:
        name: what the ranker calls it.
        k: how many candidates.
        popularity: `[rows]`.
    """

    def __init__(self, name: str, k: int, popularity: Scores) -> None:
        self.name, self.k = name, k
        self._popularity = popularity
        self._order: Rows = np.argsort(-popularity, kind="stable")

    def scores(self, inputs: Inputs, request: Request, feedback: Feedback) -> Scores:
        """`[rows]` the popularity, whoever asks."""
        return self._popularity

    def best(self, scores: Scores, k: int, allowed: Mask) -> Candidates:
        """The most popular of the allowed rows; see `Nearest.best`."""
        # Nobody needs more than the first k and as many more as are not allowed.
        needed = k + len(allowed) - int(np.count_nonzero(allowed))
        head = self._order[:needed]
        rows = head[allowed[head]][:k]
        return Candidates(rows, scores[rows])


Retriever = Nearest | Popular


def retrieve(
    retrievers: Sequence[Retriever],
    all_scores: Sequence[Scores],
    *,
    at_least: int,
    allowed: Mask,
    last: bool = False,
) -> Candidates:
    """Ask every retriever and merge what they find.

    Args:
        retrievers: the ways to find candidates.
        all_scores: of each, its score of every row.
        at_least: how many candidates a retriever whose own `k` is smaller is asked for.
        allowed: `[rows]`, which rows may come.
        last: whether no stage follows; then one retriever by itself gives no more than `at_least`.

    Returns:
        With one retriever its own list; with several the distinct rows, scored by the sum of reciprocal ranks
        (Cormack et al. 2009).
    """
    if last and len(retrievers) == 1:
        return retrievers[0].best(all_scores[0], at_least, allowed)
    lists = [
        each.best(scores, max(each.k, at_least), allowed)
        for each, scores in zip(retrievers, all_scores, strict=True)
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
