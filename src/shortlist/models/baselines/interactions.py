"""What the baselines learn from and are asked with: events as a matrix, histories as sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import DataError

if TYPE_CHECKING:
    from shortlist.data.dataset import Dataset


def training_matrix(data: Dataset) -> Any:
    """The summed weights of each user's events with each item.

    The events are those that belong to histories; events that say that the user did not want the item are
    left out, and so are those of unknown users or items.

    Args:
        data: the train part.

    Returns:
        `[num_users + 1, num_items + 1]` float32 SciPy `csr_array` with sorted columns and without zeros.

    Raises:
        DataError: no such event has a positive weight.
    """
    unwanted = data.is_label & ~data.is_positive
    kept = data.is_history & ~unwanted & (data.weights > 0) & (data.user_index > 0) & (data.item_index > 0)
    if not kept.any():
        raise DataError(
            f"none of the {len(data)} events can be learnt from",
            where=data.name,
            remedy="baselines need events of known items with history = true and a weight above 0",
        )
    shape = (len(data.user_vocabulary), len(data.item_vocabulary))
    return interaction_matrix(data.user_index[kept], data.item_index[kept], data.weights[kept], shape=shape)


def interaction_matrix(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    weights: NDArray[np.float32],
    *,
    shape: tuple[int, int],
) -> Any:
    """Add up the weights of each pair of user and item.

    Args:
        users: `[n]` int64 row numbers.
        items: `[n]` int64 column numbers.
        weights: `[n]` float32.
        shape: rows and columns of the matrix.

    Returns:
        `shape` float32 SciPy `csr_array` with sorted columns.
    """
    from scipy.sparse import csr_array

    matrix = csr_array((weights.astype(np.float32, copy=False), (users, items)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def popularity_share(matrix: Any) -> Tensor:
    """How popular each item is beside the most popular one, for requests without a usable history.

    Args:
        matrix: `[num_users + 1, num_items + 1]` SciPy matrix of summed weights.

    Returns:
        `[num_items + 1]` float32, 1 for the most popular item and 0 for items without any event.
    """
    totals = np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel()
    return torch.from_numpy((totals / totals.max()).astype(np.float32))


def distinct_known(history: Ragged, known: Tensor) -> tuple[Ragged, Tensor]:
    """Each row's distinct known items, ascending, and how often each occurs.

    Args:
        history: rows of item indices in any order.
        known: `[num_items + 1]` bool, the items to keep; indices beyond it are dropped.

    Returns:
        The distinct items of each row, and int64 counts aligned with its values.
    """
    size = len(known)
    inside = (history.values > 0) & (history.values < size)
    kept = inside & known[torch.where(inside, history.values, 0)]
    keys = (history.row_ids() * size + history.values)[kept]
    keys, counts = torch.unique(keys, return_counts=True)
    lengths = torch.bincount(keys // size, minlength=len(history))
    return Ragged.from_lengths(keys % size, lengths), counts
