"""ALS: matrix factorisation of implicit feedback by alternating least squares."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError
from shortlist.models.baselines.catalogue_scorer import CatalogueScorer
from shortlist.models.baselines.interactions import distinct_known, popularity_share, training_matrix
from shortlist.models.baselines.least_squares import solve_factors
from shortlist.models.recommender import Recommender

INITIAL_SCALE = 0.01


class ALS(CatalogueScorer, Recommender):
    """Scores an item by the dot product of its factors with the factors of the request's history.

    Every pair of user and item counts: those with events want a score of 1, with confidence
    `1 + alpha * weight`, all others 0, with confidence 1. The weight of a pair is the sum of its events'
    weights. A request's factors are solved from its history, each event with weight 1, so a user who was
    not there in training is answered as well as one who was.

    Args:
        factors: length of the vectors.
        iterations: how often both sides are solved.
        l2: strength of the regularisation, above 0.
        alpha: how much more an event counts than its absence, above 0. Where people have few events among
            many items, 100 with an `l2` of 200 is far better than the defaults (Gowalla).
        seed: of the first item factors.

    Raises:
        ConfigError: an argument is out of range.

    Source: Hu, Koren and Volinsky, Collaborative filtering for implicit feedback datasets (ICDM 2008).
    """

    tensor_names: ClassVar[tuple[str, ...]] = ("popularity", "item_factors")

    def __init__(
        self,
        *,
        factors: int = 64,
        iterations: int = 15,
        l2: float = 30.0,
        alpha: float = 4.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, count in {"factors": factors, "iterations": iterations}.items():
            if count < 1:
                raise ConfigError(f"{name} must be at least 1, got {count}", remedy="use the default")
        for name, strength in {"l2": l2, "alpha": alpha}.items():
            if not 0 < strength < float("inf"):
                raise ConfigError(
                    f"{name} must be a positive number, got {strength}", remedy="use the default"
                )
        self.factors = factors
        self.iterations = iterations
        self.l2 = float(l2)
        self.alpha = float(alpha)
        self.seed = seed

    def config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON can hold them."""
        names = ("factors", "iterations", "l2", "alpha", "seed")
        return {name: getattr(self, name) for name in names}

    def fit(self, data: Dataset) -> Self:
        """Solve for the users' and the items' factors in turn.

        Args:
            data: the train part.

        Returns:
            The model itself.

        Raises:
            DataError: there is nothing to learn from.
        """
        matrix = training_matrix(data)
        by_user, by_item = _rows(matrix), _rows(matrix.T.tocsr())
        generator = torch.Generator().manual_seed(self.seed)
        items = torch.randn(matrix.shape[1], self.factors, generator=generator) * INITIAL_SCALE
        items[by_item[0].lengths == 0] = 0  # what nobody touched must not count in the users' problems
        for _ in range(self.iterations):
            users = solve_factors(by_user[0], by_user[1] * self.alpha, items, l2=self.l2)
            items = solve_factors(by_item[0], by_item[1] * self.alpha, users, l2=self.l2)
        self._tensors = {"popularity": popularity_share(matrix), "item_factors": items}
        self.data = data
        return self

    @property
    def item_factors(self) -> Tensor:
        """`[num_items + 1, factors]` float32; zeros for items never seen in training.

        Raises:
            NotFittedError: the model was not fitted.
        """
        return self._fitted("item_factors")

    def embed_queries(self, requests: Requests) -> Tensor:
        """The factors of some requests, solved from their histories.

        Args:
            requests: who asks.

        Returns:
            `[batch, factors]` float32; zeros where nothing of the history was seen in training.
        """
        known, counts = distinct_known(requests.history, self._fitted("popularity") > 0)
        return self._fold_in(known, counts)

    def _fold_in(self, history: Ragged, counts: Tensor) -> Tensor:
        return solve_factors(history, counts.float() * self.alpha, self.item_factors, l2=self.l2)

    def _fits_together(self) -> bool:
        expected = (len(self._fitted("popularity")), self.factors)
        return (
            super()._fits_together()
            and self.item_factors.shape == expected
            and self.item_factors.dtype == torch.float32
        )

    def _padded(self, name: str, tensor: Tensor, more: int) -> Tensor:
        padded = pad(tensor, (0, 0, 0, more)) if name == "item_factors" else tensor
        return super()._padded(name, padded, more)

    def _score_history(self, history: Ragged, counts: Tensor) -> Tensor:
        return self._fold_in(history, counts) @ self.item_factors.T


def _rows(matrix: Any) -> tuple[Ragged, Tensor]:
    """The columns and the weights of a SciPy `csr_array`, row by row."""
    columns = torch.from_numpy(matrix.indices).long()
    return Ragged(columns, torch.from_numpy(matrix.indptr).long()), torch.from_numpy(matrix.data)
