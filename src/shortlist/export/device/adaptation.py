"""The user's own vector moves towards what was liked and away from what was not, on the device alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.items import Rows
from shortlist.export.tables import Float32Array

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


class VectorSpace:
    """The item vectors of a retriever.

    Args:
        vectors: `[rows, dim]`, row 0 the unknown item.
        product: computes `vectors @ query` in a faster way; None for NumPy's.
    """

    def __init__(
        self,
        vectors: Float32Array,
        product: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
    ) -> None:
        self.vectors = vectors
        self.product = vectors.__matmul__ if product is None else product

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """`[dim]` mean of the items' vectors."""
        mean: NDArray[np.float64] = self.vectors[1:].mean(axis=0, dtype=np.float64)
        return mean

    @cached_property
    def variance(self) -> float:
        """Mean squared distance of the items' vectors from their mean."""
        squares = np.einsum("rd,rd->r", self.vectors[1:], self.vectors[1:]).mean(dtype=np.float64)
        return max(float(squares - self.mean @ self.mean), 0.0)


def adapted_scores(space: VectorSpace, query: NDArray[np.float32], feedback: Feedback) -> NDArray[np.float32]:
    """Score every item for a user whose vector learns from what was judged.

    Bayesian linear regression with the tower's query as prior mean. Item vectors are centred, `x = v - mean`,
    since what all items share says nothing about one. A liked item should score 3 deviations above the mean
    of the user's scores or more, a disliked one the mean or less; what is amiss is its residual `e`. The
    posterior mean is

        q' = q + X^T (X X^T + lambda I)^-1 e,        lambda = mean |x|^2 over the catalogue

    so one judgement of an average item moves its score half of the way. `n <= 64` judgements cost O(n^3 +
    n dim), and the scores are computed twice.

    Args:
        space: the item vectors.
        query: `[dim]` what the tower says.
        feedback: what was judged.

    Returns:
        `[rows]` float32.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), sections 3.3.1 and 6.1.
    """
    scores = space.product(query)
    if len(feedback) == 0 or space.variance == 0:
        return scores
    rows, signs = feedback.latest()
    known = scores[1:].astype(np.float64)
    aims = known.mean() + np.where(signs > 0, REACH, 0.0) * known.std()
    residuals = signs * np.maximum(signs * (aims - scores[rows]), 0.0)
    centred = space.vectors[rows].astype(np.float64) - space.mean  # [n, dim]
    kernel = centred @ centred.T + space.variance * np.eye(len(rows))
    step = np.linalg.solve(kernel, residuals) @ centred  # [dim]
    moved = (query + step).astype(np.float32)
    # Without the last term all scores would shift together, which a ranker that reads them would notice.
    return space.product(moved) - np.float32(step @ space.mean)
