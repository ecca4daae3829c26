"""What a search answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SearchResults:
    """The best items of each query, best first, ties in the order of the index's `ids`.

    `ids, scores = index.search(queries, k=10)` unpacks it.

    Args:
        ids: `[batch, width]`, or `[width]` for a single query: int64, or objects for string ids; `width` is k
            or the number of items, whichever is less. -1 (None for strings) where fewer items are allowed.
        scores: float32 of the same shape, -inf where there is no item: the inner product, the cosine, or
            minus the squared distance.
    """

    ids: NDArray[Any]
    scores: NDArray[np.float32]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        yield self.ids
        yield self.scores

    def __len__(self) -> int:
        return len(self.ids)


def ids_at(ids: pl.Series | NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[Any]:
    """The ids at some places.

    Args:
        ids: `[n]` String or Int64, or int64.
        places: any shape, 0..n - 1, or -1 for none.

    Returns:
        The same shape: int64 with -1 for none, or objects with None for none.
    """
    if isinstance(ids, pl.Series) and ids.dtype == pl.Int64:
        ids = ids.to_numpy()
    if not isinstance(ids, pl.Series):
        if len(ids) == 0:
            return np.full(places.shape, -1, np.int64)
        found: NDArray[np.int64] = ids[places]  # -1 takes the last, which is as good as any
        found[places < 0] = -1
        return found
    flat = pl.Series(places.ravel())
    texts = ids.gather(flat.set(flat < 0, None)).to_numpy()
    return np.asarray(texts, dtype=object).reshape(places.shape)
