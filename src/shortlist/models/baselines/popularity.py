"""The most popular items, the same for everybody: the baseline that every model has to beat."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.duration import parse_duration
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.errors import DataError, SchemaError
from shortlist.models.baselines.catalogue_scorer import CatalogueScorer, check_items
from shortlist.models.baselines.top_k_scores import top_k_scores
from shortlist.models.recommender import Recommender


class Popularity(CatalogueScorer, Recommender):
    """Scores each item by the summed weights of its positive events, whoever asks.

    With a half-life, an event counts half as much for each half-life that lies between it and the last
    event of the data: what is popular now, rather than what ever was.

    Args:
        half_life: a duration such as `"30d"` (units s, m, h, d, w), or None for no decay.

    Raises:
        ConfigError: the half-life is not a duration.
    """

    tensor_names: ClassVar[tuple[str, ...]] = ("popularity",)

    def __init__(self, *, half_life: str | None = None) -> None:
        super().__init__()
        self.half_life = half_life
        self._order: tuple[Tensor, Tensor] | None = None
        self._half_life_seconds = None if half_life is None else parse_duration(half_life, field="half_life")

    def config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON can hold them."""
        return {"half_life": self.half_life}

    def fit(self, data: Dataset) -> Self:
        """Add up the weights of each item's positive events.

        Args:
            data: the train part.

        Returns:
            The model itself.

        Raises:
            SchemaError: there is a half-life, and the data has no times.
            DataError: no positive event of a known item has a weight above 0.
        """
        weights = np.where(data.is_positive & (data.item_index > 0), data.weights, 0).astype(np.float64)
        if not weights.any():
            raise DataError(
                f"none of the {len(data)} events is a positive one with a weight above 0",
                where=data.name,
                remedy="give an event type label = true and a weight",
            )
        if self._half_life_seconds is not None:
            weights *= _decay(data, self._half_life_seconds)
        totals = np.bincount(data.item_index, weights, minlength=len(data.item_vocabulary))
        self._tensors = {"popularity": torch.from_numpy(totals.astype(np.float32))}
        self.data = data
        return self

    def score(self, requests: Requests, items: Tensor) -> Tensor:
        """The popularity of some items; see `CatalogueScorer.score`."""
        check_items(requests, items, self.num_items)
        return self._fitted("popularity")[items].masked_fill_(items == 0, -torch.inf)

    def _best_of(
        self, history: Ragged, items: Tensor, k: int, exclude: Ragged | None
    ) -> tuple[Tensor, Tensor]:
        # Nobody can need more than the k best and as many more as are excluded: only those are looked at.
        needed = k + (0 if exclude is None else int(exclude.lengths.max()))
        popularity, order = self._fitted("popularity"), self._in_order()
        if len(items) < len(order):
            allowed = torch.zeros(len(popularity), dtype=torch.bool)
            allowed[items] = True
            order = order[allowed[order]]
        head = order[:needed].sort().values
        return top_k_scores(popularity[head].repeat(len(history), 1), head, k, exclude=exclude)

    def _in_order(self) -> Tensor:
        """`[num_items]` int64 all items, the most popular first; sorted once."""
        popularity = self._fitted("popularity")
        if self._order is None or self._order[0] is not popularity:
            self._order = popularity, popularity[1:].sort(descending=True, stable=True).indices + 1
        return self._order[1]

    def _score_history(self, history: Ragged, counts: Tensor) -> Tensor:
        return self._fitted("popularity").repeat(len(history), 1)


def _decay(data: Dataset, half_life: int) -> Any:
    """How much each event still counts at the time of the last one, between 0 and 1."""
    if data.times is None:
        raise SchemaError(
            "half_life needs times, and the schema names no timestamp column",
            where=data.name,
            remedy="set Schema(timestamp=…) or use half_life=None",
        )
    return np.exp2((data.times - data.times.max()) / half_life)
