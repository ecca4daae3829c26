"""What an item's features are beside those of the other items of its list."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ShapeError


def relative_to_list(features: Ragged) -> Tensor:
    """Each feature as its standard score and as its rank within the list.

    A model that scores one item at a time does not see the others; these tell it how the item compares.

    Args:
        features: lists whose values are `[total, num_features]`.

    Returns:
        `[total, 2 * num_features]` float32: each feature less the list's mean over its deviation, 0 where all
        are equal; then the share of the list's other items that are below, ties counting half, 0.5 without
        others.

    Raises:
        ShapeError: the values are no matrix.
    """
    if features.values.ndim != 2:
        raise ShapeError(
            f"the features are {tuple(features.values.shape)}", remedy="pass [total, num_features] values"
        )
    return torch.cat([_standard_scores(features), _rank_shares(features)], dim=1).float()


def _standard_scores(features: Ragged) -> Tensor:
    rows, lengths = features.row_ids(), features.lengths.clamp(min=1)[:, None]
    values = features.values.double()
    nothing = values.new_zeros(len(features), values.shape[1])
    centred = values - (nothing.index_add(0, rows, values) / lengths)[rows]
    deviation = (nothing.index_add(0, rows, centred.square()) / lengths).sqrt()[rows]
    # What is left of equal values is rounding.
    return centred / torch.where(deviation > 1e-9 * values.abs(), deviation, torch.inf)


def _rank_shares(features: Ragged) -> Tensor:
    total, columns = features.values.shape
    # Every column's lists, one after another, as so many lists of one number an item.
    numbers = torch.arange(columns, device=features.device)[:, None]
    rows = (features.row_ids() + numbers * len(features)).flatten()
    starts = (features.offsets[:-1] + numbers * total).flatten()
    values = features.values.T.flatten()
    order = values.argsort(stable=True)
    order = order[rows[order].argsort(stable=True)]
    rows, values = rows[order], values[order]
    new = torch.ones(len(rows), dtype=torch.bool, device=features.device)
    new[1:] = (rows[1:] != rows[:-1]) | (values[1:] != values[:-1])
    ties = new.cumsum(0) - 1
    sizes = torch.bincount(ties)
    below = (sizes.cumsum(0) - sizes)[ties] - starts[rows] + (sizes[ties] - 1) / 2
    others = features.lengths.repeat(columns)[rows] - 1
    shares = torch.empty(len(rows), dtype=torch.float64, device=features.device)
    shares[order] = torch.where(others > 0, below / others.clamp(min=1), 0.5).double()
    return shares.view(columns, total).T
