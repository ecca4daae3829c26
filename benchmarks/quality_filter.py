"""A low-pass filter on the graph of users and items, and towers beside it as two halves of one embedding.

The filter's item vectors are the leading singular vectors of the user-item matrix, divided by a power of the
users' and items' numbers of events. A user is the sum of the vectors of the history. Nothing is learned, and
what it misses the trained towers add.

Source: Shen et al., How powerful is graph convolution for recommendation? (CIKM 2021), with a gain of the
singular value, or a smooth cut, instead of a sharp one.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

import shortlist as sl
from shortlist.data import Requests
from shortlist.models.baselines.interactions import training_matrix

OVERSAMPLED, ITERATIONS = 64, 4  # of the subspace iteration


class GraphFilter:
    """Embeddings of users and items whose products are a filtered history.

    Args:
        data: the train part.
        dim: how many singular vectors.
        seed: where the search for them starts.
        power: of the numbers of events that the matrix is divided by.
        cutoff: share of the largest squared singular value that halves the gain `s^2 / (s^2 + cutoff)`, that
            of least squares with a penalty, as EASE's is; None lets the gain be the singular value itself.
    """

    def __init__(
        self, data: sl.Dataset, dim: int, *, seed: int, power: float = 0.5, cutoff: float | None = None
    ) -> None:
        vectors, values, counts = singular_vectors(data, dim, seed=seed, power=power)
        squares = values.square()
        gains = values if cutoff is None else squares / (squares + cutoff * squares[0])
        self.power, scale = power, counts.clamp(min=1)[:, None] ** power
        self.given, self.items = vectors * gains.sqrt() / scale, vectors * gains.sqrt() * scale

    def queries(self, history: sl.Ragged) -> Tensor:
        """`[users, dim]` of the users' histories."""
        sums = functional.embedding_bag(
            history.values, self.given, history.offsets, mode="sum", include_last_offset=True
        )
        return sums / history.lengths.clamp(min=1)[:, None] ** self.power


class FilteredTowers:
    """Trained towers and a filter, whose scores are added up.

    Args:
        towers: trained.
        filter: of the same data.
        share: weight of the towers' scores; the filter's count once.
    """

    def __init__(self, towers: sl.TwoTower, filter: GraphFilter, *, share: float) -> None:
        self.towers, self.filter, self.share = towers, filter, share
        self.items = torch.cat([filter.items, share * towers.item_vectors], 1)

    def retrieve(
        self, requests: Requests, k: int, *, exclude: sl.Ragged | None = None
    ) -> tuple[Tensor, Tensor]:
        """The items with the largest sums of both scores, without those of `exclude`; exact."""
        queries = torch.cat([self.filter.queries(requests.history), self.towers.embed_queries(requests)], 1)
        scores = queries @ self.items.T
        if exclude is not None:
            scores[exclude.row_ids(), exclude.values] = -torch.inf
        scores[:, 0] = -torch.inf
        best = scores.topk(k)
        return best.indices, best.values


def singular_vectors(
    data: sl.Dataset, dim: int, *, seed: int, power: float = 0.5
) -> tuple[Tensor, Tensor, Tensor]:
    """Right singular vectors of the normalised matrix by subspace iteration.

    Args:
        data: the train part.
        dim: how many.
        seed: of the random start.
        power: of the users' and the items' numbers of events that the matrix is divided by.

    Returns:
        `[num_items + 1, dim]` vectors, their `[dim]` values, largest first, and the items' numbers of events.
    """
    matrix = training_matrix(data)
    matrix.data[:] = 1
    users, items = (np.asarray(matrix.sum(axis=axis), np.float32).ravel() for axis in (1, 0))
    scaled = [sp.diags(np.maximum(counts, 1) ** -power) for counts in (users, items)]
    normal = (scaled[0] @ matrix @ scaled[1]).tocsr().astype(np.float32)
    back, dim = normal.T.tocsr(), min(dim, *normal.shape)
    width = min(dim + OVERSAMPLED, *normal.shape)
    basis = np.random.default_rng(seed).standard_normal((normal.shape[1], width), np.float32)
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(torch.from_numpy(back @ (normal @ basis)))[0].numpy()
    image = torch.from_numpy(normal @ basis)
    squares, rotation = torch.linalg.eigh(image.T @ image)
    vectors = torch.from_numpy(basis) @ rotation.flip(1)[:, :dim]
    return vectors, squares.flip(0)[:dim].clamp(min=0).sqrt(), torch.from_numpy(items)


def split_nearby(data: sl.Dataset, *, share: float, seed: int) -> np.ndarray:
    """Which events to hold out so that they lie together, as places do where somebody was once.

    An item of each user is drawn, and the user's items nearest to it are held out. Held at random, items are
    nearer to the rest of the history than those of Gowalla's test part are, and models rank otherwise.

    Args:
        data: the train part.
        share: of a user's events, at least one.
        seed: of the draws.

    Returns:
        `[events]` bool.
    """
    vectors = functional.normalize(singular_vectors(data, 256, seed=seed)[0], dim=1)
    owners, items = torch.from_numpy(data.person_index), torch.from_numpy(data.item_index)
    random = torch.rand(len(owners), generator=torch.Generator().manual_seed(seed))
    starts = torch.zeros(len(data.people), dtype=torch.int64)
    order = random.argsort()
    starts[owners[order]] = items[order]
    nearness = (vectors[items] * vectors[starts[owners]]).sum(1)
    order = nearness.argsort(descending=True, stable=True)
    order = order[owners[order].argsort(stable=True)]
    counts = torch.bincount(owners)
    place = torch.arange(len(owners)) - (counts.cumsum(0) - counts)[owners[order]]
    held = torch.zeros(len(owners), dtype=torch.bool)
    held[order] = place < (counts * share).round().clamp(min=1)[owners[order]]
    return held.numpy()
