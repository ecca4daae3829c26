"""The user's own vector moves towards what was liked and away from what was not, on the device alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.items import Rows
from shortlist.export.device.vector_space import VectorSpace

# How many of the latest judgements count: a system of so many equations is solved at every request.
LATEST = 64
# What a liked item aims at, in deviations of the user's scores above their mean: among the best of a thousand
# where scores are about normal. A disliked one aims at the mean: people dislike what they chose to see, so
# its neighbours are still better than most, and an aim as far below the mean buries what they would like.
REACH = 3.0


class Feedback:
    """What the person liked and disliked, in the order of the last judgement of each item."""

    def __init__(self) -> None:
        self._signs: dict[int, int] = {}

    def __len__(self) -> int:
        """The number of items judged."""
        return len(self._signs)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Rows and signs, the latest last."""
        return iter(self._signs.items())

    def judge(self, row: int, sign: int) -> None:
        """Note a judgement; it takes the place of an earlier one of the same item.

        Args:
            row: of the item.
            sign: 1 for liked, -1 for disliked.
        """
        self._signs.pop(row, None)
        self._signs[row] = sign

    def clear(self) -> None:
        """Forget all of it."""
        self._signs.clear()

    @property
    def rows(self) -> Rows:
        """`[n]` the rows of all items judged."""
        return np.fromiter(self._signs, np.int64, len(self._signs))

    def latest(self) -> tuple[Rows, NDArray[np.float64]]:
        """The rows and the signs that count."""
        signs = np.fromiter(self._signs.values(), np.float64, len(self._signs))
        return self.rows[-LATEST:], signs[-LATEST:]


def adapted_query(
    space: VectorSpace, query: NDArray[np.float32], feedback: Feedback
) -> tuple[NDArray[np.float32], np.float32]:
    """The vector of a user that learns from what was judged.

    Bayesian linear regression with the tower's query as prior mean. Item vectors are centred, `x = v - mean`,
    since what all items share says nothing about one. A liked item should score 3 deviations above the mean
    of the user's scores or more, a disliked one the mean or less; what is amiss is its residual `e`. The
    posterior mean is

        q' = q + X^T (X X^T + lambda I)^-1 e,        lambda = mean |x|^2 over the catalogue

    so one judgement of an average item moves its score half of the way. The mean and the deviation of the
    scores follow from those of the vectors, so `n <= 64` judgements cost O(n^3 + n dim + dim^2), however many
    items there are.

    Args:
        space: the item vectors.
        query: `[dim]` what the tower says.
        feedback: what was judged.

    Returns:
        `[dim]` the query to score with, and what to take from every score: without it all scores would shift
        together, which a ranker that reads them would notice.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), sections 3.3.1 and 6.1.
    """
    if len(feedback) == 0 or space.variance == 0:
        return query, np.float32(0)
    rows, signs = feedback.latest()
    centre, spread = query @ space.mean, math.sqrt(max(float(query @ space.covariance @ query), 0.0))
    aims = centre + np.where(signs > 0, REACH, 0.0) * spread
    residuals = signs * np.maximum(signs * (aims - space.products(rows, query)), 0.0)
    centred = space.vectors[rows].astype(np.float64) - space.mean  # [n, dim]
    kernel = centred @ centred.T + space.variance * np.eye(len(rows))
    step = np.linalg.solve(kernel, residuals) @ centred  # [dim]
    return (query + step).astype(np.float32), np.float32(step @ space.mean)
