"""EASE: a linear item-to-item model in closed form, the strongest simple baseline on small catalogues."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError
from shortlist.models.baselines.catalogue_scorer import CatalogueScorer
from shortlist.models.baselines.interactions import popularity_share, training_matrix
from shortlist.models.recommender import Recommender

# Two float64 matrices are alive at once while one is inverted; measured 17.4 in all.
BYTES_PER_PAIR = 18
BLOCK_ROWS = 1024  # rows of a large product that are computed at once


class EASE(CatalogueScorer, Recommender):
    """Scores an item by a weighted sum over the request's distinct history items.

    The weights minimise the squared error of reconstructing the binary user-item matrix from itself, with
    no item allowed to predict itself. Time grows with the cube of the number of items seen in training or of
    users, whichever are fewer, and memory with the square, 18 bytes a pair (1.8 GB for 10,000); the weights
    themselves take 4 bytes a pair of items.

    Args:
        l2: strength of the regularisation, above 0. 500 suits data of 100,000 to a few million events; more
            events want more.

    Raises:
        ConfigError: `l2` is not a positive number.

    Source: Steck, Embarrassingly shallow autoencoders for sparse data (WWW 2019).
    """

    tensor_names: ClassVar[tuple[str, ...]] = ("popularity", "trained_items", "weights")

    def __init__(self, *, l2: float = 500.0) -> None:
        super().__init__()
        if not 0 < l2 < float("inf"):
            raise ConfigError(f"l2 must be a positive number, got {l2}", remedy="use 500")
        self.l2 = float(l2)

    def config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON can hold them."""
        return {"l2": self.l2}

    def fit(self, data: Dataset) -> Self:
        """Solve for the weights.

        Args:
            data: the train part; each pair of user and item counts once, whatever its events' weights.

        Returns:
            The model itself.

        Raises:
            DataError: there is nothing to learn from, or there are too many items for this machine's memory.
        """
        matrix = training_matrix(data)
        popularity = popularity_share(matrix)
        trained = popularity.nonzero().flatten()
        matrix.data[:] = 1
        matrix = matrix[np.diff(matrix.indptr) > 0][:, trained.numpy()]
        _check_memory(*matrix.shape, where=data.name)
        weights = ease_weights(matrix, self.l2)
        self._tensors = {"popularity": popularity, "trained_items": trained, "weights": weights}
        self.data = data
        return self

    def _fits_together(self) -> bool:
        trained, weights = self._fitted("trained_items"), self._fitted("weights")
        return (
            super()._fits_together()
            and weights.dtype == torch.float32
            and weights.shape == (len(trained), len(trained))
            and torch.equal(trained, self._fitted("popularity").nonzero().flatten())
        )

    def _score_history(self, history: Ragged, counts: Tensor) -> Tensor:
        trained, weights = self._fitted("trained_items"), self._fitted("weights")
        rows = torch.searchsorted(trained, history.values)
        scores = torch.zeros(len(history), self.num_items + 1)
        scores[:, trained] = embedding_bag(
            rows, weights, history.offsets, mode="sum", include_last_offset=True
        )
        return scores


def ease_weights(matrix: Any, l2: float) -> Tensor:
    """The item-to-item weights of EASE.

    Args:
        matrix: `[users, n]` binary SciPy `csr_array`.
        l2: strength of the regularisation.

    Returns:
        `[n, n]` float32, zero on the diagonal: entry (i, j) is what having i adds to the score of j.
    """
    users, items = matrix.shape
    if users < items:
        return _weights_by_users(matrix, l2)
    inverse = _inverse_gram(matrix, l2)
    inverse.div_(-inverse.diagonal().clone())
    inverse.fill_diagonal_(0)
    return inverse.float()


def _weights_by_users(matrix: Any, l2: float) -> Tensor:
    """The same weights through the users' smaller matrix: (X'X + l2)^-1 = (1 - X'(XX' + l2)^-1 X) / l2."""
    by_item = matrix.T.tocsr()
    # LAPACK leaves it in the order of columns, which SciPy would copy for every block: the symmetric matrix's
    # transpose is the same and in the order of rows.
    inverse = _inverse_gram(by_item, l2).numpy().T
    items = matrix.shape[1]
    weights, own = torch.empty(items, items), torch.empty(items, dtype=torch.float64)
    for start in range(0, items, BLOCK_ROWS):
        rows = slice(start, min(start + BLOCK_ROWS, items))
        product = torch.from_numpy(by_item @ (by_item[rows] @ inverse).T).T  # of X'(XX' + l2)^-1 X
        weights[rows], own[rows] = product, product.diagonal(start)
    weights.div_((1 - own).float())
    weights.fill_diagonal_(0)
    return weights


def _gram(matrix: Any) -> Tensor:
    """X'X as a dense float64 matrix, some rows at a time."""
    size = matrix.shape[1]
    transposed = matrix.T.tocsr()
    gram = np.empty((size, size), np.float64)
    for start in range(0, size, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        gram[rows] = (transposed[rows] @ matrix).toarray()
    return torch.from_numpy(gram)


def _inverse_gram(matrix: Any, l2: float) -> Tensor:
    """The inverse of X'X with `l2` added to its diagonal, float64."""
    gram = _gram(matrix)
    gram.diagonal().add_(l2)
    # In double precision: popular items make the matrix too badly conditioned for float32 to be trusted.
    factor = torch.linalg.cholesky(gram)
    del gram  # its memory is needed
    return torch.cholesky_inverse(factor)


def _check_memory(users: int, items: int, *, where: str) -> None:
    solved, weights = min(users, items) ** 2, 4 * items**2
    needed = max(BYTES_PER_PAIR * solved, BYTES_PER_PAIR // 2 * solved + weights)
    available = _memory_bytes()
    if needed > available:
        raise DataError(
            f"EASE needs {needed / 1e9:,.1f} GB of memory for {items:,} items, of {available / 1e9:,.1f} GB",
            where=where,
            remedy="use ItemKNN or ALS, or keep the items with more events",
        )


def _memory_bytes() -> int:
    """The memory that this process may use at most, as far as the system tells."""
    limits = [1 << 62]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    container = Path("/sys/fs/cgroup/memory.max")  # absent outside Linux; "max" where nothing limits
    if container.is_file() and (text := container.read_text().strip()).isdecimal():
        limits.append(int(text))
    return min(limits)
