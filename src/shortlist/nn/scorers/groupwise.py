"""Items in small groups, each scored in the light of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError
from shortlist.nn.mlp import MLP
from shortlist.nn.scorers.scaling import ItemScaling, check_hidden

ORDERS = 16  # orders of each list that groups of three and more are taken from when nothing is trained


class GroupwiseScorer(nn.Module):
    """Scores groups of items together; an item's score is the mean over its groups.

    Training draws one order of each list a step and takes as groups the items that then stand side by side.
    Otherwise pairs are scored all, and larger groups come from a fixed number of orders, so that a list has
    the same scores in whatever order its items are given.

    Args:
        in_features: width of the features.
        group_size: items scored together, from 2.
        hidden: widths of the hidden layers, at least one.
        dropout: share of a hidden layer's outputs that training zeroes, in [0, 1).
        log1p: whether features first become `sign(x) * log(1 + |x|)`.

    Raises:
        ConfigError: the group size or a width is too small, or the dropout is out of range.

    Source: Ai et al., Learning groupwise multivariate scoring functions using deep neural networks (ICTIR
    2019).
    """

    def __init__(
        self,
        in_features: int,
        *,
        group_size: int = 2,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        log1p: bool = False,
    ) -> None:
        super().__init__()
        check_hidden(tuple(hidden), scorer="GroupwiseScorer")
        if group_size < 2:
            raise ConfigError(
                f"group_size is {group_size}", remedy="pass at least 2, or use UnivariateScorer"
            )
        self.group_size, self.width = group_size, hidden[0]
        self.scaling = ItemScaling(in_features, log1p=log1p)
        # The first layer over a group's features, as the sum of a part for each place in the group: each item
        # goes through it once a place, however many groups it is in.
        self.first = nn.Linear(in_features, group_size * self.width)
        self.dropout = nn.Dropout(dropout)
        self.layers = MLP(self.width, (*hidden[1:], group_size), dropout=dropout)

    def forward(self, features: Ragged) -> Ragged:
        """Score all items.

        Args:
            features: lists whose values are `[total, in_features]`.

        Returns:
            Lists of scores, `[total]`.

        Raises:
            DataError: a feature is not a finite number.
            ShapeError: the values have another width.
        """
        parts = self.first(self.scaling(features)).view(-1, self.group_size, self.width)
        groups = self._groups(features)  # [groups, group_size] places of items
        hidden = parts.new_zeros(len(groups), self.width)
        for place in range(self.group_size):
            hidden = hidden + nn.functional.embedding(groups[:, place], parts[:, place])
        scores = self.layers(self.dropout(torch.relu(hidden))).flatten()
        items = groups.flatten()
        sums = scores.new_zeros(len(parts)).index_add(0, items, scores)
        return Ragged(sums / torch.bincount(items, minlength=len(parts)).clamp(min=1), features.offsets)

    def _groups(self, features: Ragged) -> Tensor:
        if self.training:
            return self._neighbours(features, torch.rand(len(features.values), device=features.device))
        if self.group_size == 2:
            return _all_pairs(features)
        keys = _fixed_keys(int(features.lengths.max()) if len(features.values) else 0)
        ranks = _ranks_by_value(features)
        return torch.cat([self._neighbours(features, row.to(features.device)[ranks]) for row in keys])

    def _neighbours(self, features: Ragged, keys: Tensor) -> Tensor:
        """What stands side by side when the lists, each closed to a ring, are ordered by the keys."""
        order = keys.argsort(stable=True)
        rows = features.row_ids()
        order = order[rows[order].argsort(stable=True)]
        starts, lengths = features.offsets[rows], features.lengths[rows]
        steps = features.positions()[:, None] + torch.arange(self.group_size, device=keys.device)
        return order[starts[:, None] + steps % lengths[:, None]]


def _all_pairs(features: Ragged) -> Tensor:
    """Every ordered pair of two items of a list; an item alone is paired with itself."""
    places = Ragged(torch.arange(len(features.values), device=features.device), features.offsets)
    others = places.take(features.row_ids())
    first = others.row_ids()
    alone = features.lengths[features.row_ids()][first] == 1
    kept = (first != others.values) | alone
    return torch.stack([first[kept], others.values[kept]], dim=1)


def _fixed_keys(length: int) -> Tensor:
    """`[ORDERS, length]` numbers that are always the same for the same place."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(length, ORDERS, generator=generator).T


def _ranks_by_value(features: Ragged) -> Tensor:
    """`[total]` the place of each item among its list's when these are sorted by their features."""
    columns = features.values.numpy(force=True).T[::-1]
    order = torch.from_numpy(np.lexsort((*columns, features.row_ids().numpy(force=True))))
    ranks = torch.empty_like(order)
    ranks[order] = features.positions().cpu()
    return ranks.to(features.device)
