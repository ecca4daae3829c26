"""A score that is a sum of curves, one a feature, which a person can read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError
from shortlist.nn.mlp import MLP
from shortlist.nn.scorers.scaling import ItemScaling, check_hidden


@dataclass(frozen=True, eq=False)
class FeatureCurve:
    """What one feature adds to the score at each of its values.

    Args:
        column: number of the feature.
        values: `[points]` float32 values of the feature, ascending.
        contributions: `[points]` float32, what each adds to the score; 0 on average over the items.
    """

    column: int
    values: Tensor
    contributions: Tensor


class AdditiveScorer(nn.Module):
    """Scores an item by the sum of a curve of each feature (a generalised additive model).

    Each curve is a small network of one number, so that what a feature does to the score can be drawn and
    holds whatever the other features are. Features of the list as a whole have no curve: alike for all its
    items, they could not change the order; they say how much each curve counts.

    Args:
        in_features: width of the features.
        context: numbers of the columns that describe the list.
        hidden: widths of the hidden layers of each curve.
        dropout: share of a hidden layer's outputs that training zeroes, in [0, 1).
        log1p: whether features first become `sign(x) * log(1 + |x|)`.

    Raises:
        ConfigError: a width is not positive, the dropout is out of range, or the context holds a column that
            is not there, or all of them.

    Source: Zhuang et al., Interpretable ranking with generalized additive models (WSDM 2021).
    """

    own: Tensor
    about_list: Tensor

    def __init__(
        self,
        in_features: int,
        *,
        context: Sequence[int] = (),
        hidden: Sequence[int] = (16, 8),
        dropout: float = 0.0,
        log1p: bool = False,
    ) -> None:
        super().__init__()
        check_hidden(tuple(hidden), scorer="AdditiveScorer")
        own = [column for column in range(in_features) if column not in set(context)]
        if not own or not set(context) <= set(range(in_features)):
            raise ConfigError(
                f"context is {list(context)} of {in_features} features",
                remedy="name columns that describe the list, and leave some that describe the items",
            )
        self.scaling = ItemScaling(in_features, log1p=log1p)
        self.register_buffer("own", torch.tensor(own), persistent=False)
        self.register_buffer("about_list", torch.tensor(list(context), dtype=torch.int64), persistent=False)
        widths = [1, *hidden, 1]
        self.weights = nn.ParameterList(_uniform(len(own), *pair) for pair in pairwise(widths))
        self.biases = nn.ParameterList(_uniform(len(own), 1, width) for width in widths[1:])
        self.dropout = nn.Dropout(dropout)
        self.shares = MLP(len(context), (16, len(own)), dropout=dropout) if context else None

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
        return Ragged(self.contributions(features).sum(dim=1), features.offsets)

    def contributions(self, features: Ragged) -> Tensor:
        """What each feature adds to each item's score.

        Args:
            features: lists whose values are `[total, in_features]`.

        Returns:
            `[total, curves]`, one column for each feature outside the context, in their order; a row sums to
            the item's score.
        """
        scaled = self.scaling(features)
        curves = self._curves(scaled[:, self.own])
        if self.shares is None:
            return curves
        return curves * torch.softmax(self.shares(scaled[:, self.about_list]), dim=1)

    @torch.no_grad()
    def curves(self, features: Ragged, *, points: int = 64) -> list[FeatureCurve]:
        """The curve of each feature, over the values that some items have.

        With a context, a list's own curves are these times the weights that its context gives them.

        Args:
            features: lists whose values are `[total, in_features]`; a curve is drawn at their quantiles.
            points: how many of these at most; equal ones count once.

        Returns:
            One curve for each feature outside the context.

        Raises:
            ConfigError: there are fewer than two points.
            DataError: there is no item, or a feature is not a finite number.
            ShapeError: the values have another width.
        """
        if points < 2:
            raise ConfigError(f"points is {points}", remedy="ask for at least 2")
        values = self.scaling.checked(features.values)
        if len(values) == 0:
            raise DataError("there is no item to draw curves for", remedy="pass the items of a table")
        was_training = self.training
        self.eval()
        shares = torch.linspace(0, 1, points, device=values.device)
        grid = values.sort(dim=0).values[(shares * (len(values) - 1)).round().long()]
        found = self._curves(self.scaling.scale(grid)[:, self.own])
        centres = self._curves(self.scaling.scale(values)[:, self.own]).mean(dim=0)
        self.train(was_training)
        drawn = []
        for number, column in enumerate(self.own.tolist()):
            distinct = torch.ones(points, dtype=torch.bool, device=grid.device)
            distinct[1:] = grid[1:, column] != grid[:-1, column]
            heights = found[distinct, number] - centres[number]
            drawn.append(FeatureCurve(column, grid[distinct, column].cpu(), heights.cpu()))
        return drawn

    def _curves(self, scaled: Tensor) -> Tensor:
        """`[total, curves]`, each column through a network of its own."""
        hidden = scaled.T[:, :, None]  # [curves, total, 1]
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if layer < last:
                hidden = self.dropout(torch.relu(hidden))
        return hidden.squeeze(2).T


def _uniform(curves: int, inputs: int, outputs: int) -> nn.Parameter:
    bound = 1 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(curves, inputs, outputs).uniform_(-bound, bound))
