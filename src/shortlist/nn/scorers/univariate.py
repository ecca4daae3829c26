"""Each item by itself."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError
from shortlist.nn.mlp import MLP
from shortlist.nn.scorers.scaling import ItemScaling, as_scores


class UnivariateScorer(nn.Module):
    """Scores each item from its own features, blind to the others of its list.

    Args:
        in_features: width of the features.
        hidden: widths of the hidden layers; none makes the scorer linear.
        dropout: share of a hidden layer's outputs that training zeroes, in [0, 1).
        input_dropout: share of the scaled features that training puts to their mean, in [0, 1): for many
            features and few lists.
        log1p: whether features first become `sign(x) * log(1 + |x|)`.

    Raises:
        ConfigError: a width is not positive, or the dropout is out of range.
    """

    def __init__(
        self,
        in_features: int,
        *,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        log1p: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= input_dropout < 1:
            raise ConfigError(
                f"input_dropout is {input_dropout}",
                where="UnivariateScorer",
                remedy="pass a share in [0, 1), such as 0.4",
            )
        self.scaling = ItemScaling(in_features, log1p=log1p)
        self.input_dropout = nn.Dropout(input_dropout)
        self.layers = MLP(in_features, (*hidden, 1), dropout=dropout)

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
        return as_scores(self.layers(self.input_dropout(self.scaling(features))), features)
