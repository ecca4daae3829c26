"""The item vectors of a retriever: which are the nearest to a query, and how they lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.candidates import Candidates, contenders, greatest
from shortlist.export.device.items import Rows
from shortlist.export.device.rough_product import RoughProduct
from shortlist.export.tables import Float32Array

LOWEST = np.iinfo(np.int32).min


class VectorSpace:
    """The item vectors of a retriever.

    Args:
        vectors: `[rows, dim]`, row 0 the unknown item.
    """

    def __init__(self, vectors: Float32Array) -> None:
        self.vectors = vectors
        self.rough = RoughProduct(vectors)

    def products(self, rows: Rows, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n]` the dot products of some rows, added up in double precision and rounded once."""
        products = self.vectors.take(rows, axis=0) @ query.astype(np.float64)
        return products.astype(np.float32)

    def nearest(
        self,
        query: NDArray[np.float32],
        k: int,
        barred: Rows,
        *,
        given: Sequence[NDArray[Any]] | None = None,
    ) -> Candidates:
        """The `k` rows with the greatest products but for some, greatest first; ties by lower row.

        A rough product of all rows leaves a few that can be among them, and only theirs are computed.

        Args:
            query: `[dim]`, finite.
            k: at most.
            barred: rows that must not come.
            given: the outputs of `rough` for the query where a model gave them; they are overwritten.
        """
        if given is None:
            given = self.rough.alone.run(None, {"query": query[None]})
        scores, margin = self.rough.read(given)
        rows = contenders(scores, k, barred, lowest=LOWEST, margin=margin)
        return greatest(rows, self.products(rows, query), k)

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """`[dim]` mean of the items' vectors."""
        mean: NDArray[np.float64] = self.vectors[1:].mean(axis=0, dtype=np.float64)
        return mean

    @cached_property
    def covariance(self) -> NDArray[np.float64]:
        """`[dim, dim]` of the items' vectors."""
        return np.atleast_2d(np.cov(self.vectors[1:], rowvar=False, bias=True))

    @cached_property
    def variance(self) -> float:
        """Mean squared distance of the items' vectors from their mean."""
        return float(np.trace(self.covariance))
