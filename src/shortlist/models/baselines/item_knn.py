"""ItemKNN: items like those of the history, by who had both."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, did_you_mean
from shortlist.models.baselines.catalogue_scorer import CatalogueScorer
from shortlist.models.baselines.interactions import popularity_share, training_matrix
from shortlist.models.baselines.top_k_scores import top_k_positions
from shortlist.models.recommender import Recommender

Similarity = Literal["cosine", "jaccard"]
# Entries of one block of the sparse product of the items with each other, padded: about 50 MB.
BLOCK_ENTRIES = 1 << 21


class ItemKNN(CatalogueScorer, Recommender):
    """Scores an item by its similarities with the request's distinct history items, summed.

    Two items are similar when the same users had both. Each item listens to its own nearest neighbours only,
    so the model is sparse, large catalogues are no obstacle, and a popular item does not win by being a
    neighbour of everything.

    Args:
        neighbours: how many neighbours each item keeps.
        similarity: `"cosine"`: users in common over the root of the product of the items' users, or
            `"jaccard"`: users in common over users of either.
        shrinkage: added to the denominator, so that similarities seen by few users count less; 0 or more.

    Raises:
        ConfigError: an argument is out of range.

    Source: Deshpande and Karypis, Item-based top-N recommendation algorithms (ACM TOIS 2004).
    """

    tensor_names: ClassVar[tuple[str, ...]] = ("popularity", "offsets", "neighbours", "similarities")

    def __init__(
        self, *, neighbours: int = 100, similarity: Similarity = "cosine", shrinkage: float = 10.0
    ) -> None:
        super().__init__()
        if neighbours < 1:
            raise ConfigError(f"neighbours must be at least 1, got {neighbours}", remedy="use 100")
        if similarity not in get_args(Similarity):
            raise ConfigError(
                f"unknown similarity {similarity!r}",
                remedy=did_you_mean(str(similarity), get_args(Similarity)),
            )
        if not 0 <= shrinkage < float("inf"):
            raise ConfigError(f"shrinkage must be 0 or more, got {shrinkage}", remedy="use 10")
        self.neighbours = neighbours
        self.similarity: Similarity = similarity
        self.shrinkage = float(shrinkage)

    def config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON can hold them."""
        return {"neighbours": self.neighbours, "similarity": self.similarity, "shrinkage": self.shrinkage}

    def fit(self, data: Dataset) -> Self:
        """Find each item's nearest neighbours.

        Args:
            data: the train part; each pair of user and item counts once, whatever its events' weights.

        Returns:
            The model itself.

        Raises:
            DataError: there is nothing to learn from.
        """
        matrix = training_matrix(data)
        popularity = popularity_share(matrix)
        matrix.data[:] = 1
        nearest = nearest_items(matrix, self.neighbours, similarity=self.similarity, shrinkage=self.shrinkage)
        self._tensors = {
            "popularity": popularity,
            "offsets": torch.from_numpy(nearest.indptr),
            "neighbours": torch.from_numpy(nearest.indices),
            "similarities": torch.from_numpy(nearest.data),
        }
        self.data = data
        return self

    def _similar(self) -> Any:
        """The similarities as a SciPy `csr_array` of items by items."""
        from scipy.sparse import csr_array

        width = self.num_items + 1
        names = ("similarities", "neighbours", "offsets")
        return csr_array(tuple(self._fitted(name).numpy() for name in names), shape=(width, width))

    def _fits_together(self) -> bool:
        try:
            self._similar().check_format(full_check=True)  # SciPy multiplies without looking at the indices
        except (ValueError, TypeError):
            return False
        return super()._fits_together() and self._fitted("similarities").dtype == torch.float32

    def _padded(self, name: str, tensor: Tensor, more: int) -> Tensor:
        padded = torch.cat([tensor, tensor[-1:].expand(more)]) if name == "offsets" else tensor
        return super()._padded(name, padded, more)

    def _score_history(self, history: Ragged, counts: Tensor) -> Tensor:
        from scipy.sparse import csr_array

        similar, width = self._similar(), self.num_items + 1
        ones = np.ones(len(history.values), np.float32)
        had = csr_array((ones, history.values.numpy(), history.offsets.numpy()), shape=(len(history), width))
        return torch.from_numpy((had @ similar).toarray())


def nearest_items(matrix: Any, neighbours: int, *, similarity: Similarity, shrinkage: float) -> Any:
    """Each item's most similar items; of equal similarities, the lower item index is nearer.

    Args:
        matrix: `[users, n]` binary SciPy `csr_array`.
        neighbours: how many at most; items without a user in common are none.
        similarity: `"cosine"` or `"jaccard"`.
        shrinkage: added to the denominator.

    Returns:
        `[n, n]` float32 SciPy `csr_array`: entry (i, j) is the similarity of j with i, one of j's neighbours.
    """
    from scipy.sparse import coo_array

    by_item = matrix.T.tocsr()
    sizes = np.diff(by_item.indptr).astype(np.float32)
    # The events of an item's users bound how many items it shares a user with. Items go by that bound, so
    # that the rows of a block are about as long as each other.
    bounds = np.minimum(by_item @ np.diff(matrix.indptr), len(sizes))
    order = np.argsort(-bounds, kind="stable")
    parts = []
    start = 0
    while start < len(order):
        items = order[start : start + max(1, BLOCK_ENTRIES // max(1, int(bounds[order[start]])))]
        block = by_item[items] @ matrix
        block.sort_indices()
        _to_similarities(block, items, sizes, similarity, shrinkage)
        parts.append(_top_of_rows(block, items, neighbours))
        start += len(items)
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    return coo_array((values, (columns, rows)), shape=(len(sizes), len(sizes))).tocsr()


def _to_similarities(block: Any, items: Any, sizes: Any, similarity: Similarity, shrinkage: float) -> None:
    """Turn numbers of common users into similarities, in place; an item is not similar to itself."""
    own = np.repeat(items, np.diff(block.indptr))
    mine, other = sizes[own], sizes[block.indices]
    joined = np.sqrt(mine * other) if similarity == "cosine" else mine + other - block.data
    block.data /= joined + np.float32(shrinkage)
    block.data[block.indices == own] = 0


def _top_of_rows(block: Any, items: Any, k: int) -> tuple[Any, Any, Any]:
    """Rows, columns and values of the k largest positive entries of each row."""
    starts, lengths = torch.from_numpy(block.indptr[:-1, None]), torch.from_numpy(np.diff(block.indptr))
    place = torch.arange(int(lengths.max()), dtype=starts.dtype)
    values = torch.from_numpy(np.append(block.data, np.float32(0)))  # the last one fills short rows
    padded = values[torch.where(place < lengths[:, None], starts + place, len(values) - 1)]
    best = top_k_positions(padded, k)
    found = padded.gather(1, best)
    kept = found > 0
    rows = np.repeat(items, kept.sum(1).numpy())
    return rows, block.indices[(starts + best)[kept].numpy()], found[kept].numpy()
