"""What every scorer does to its features first: refuse what is no number, and bring them to one scale."""

from __future__ import annotations

from torch import Tensor, nn

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError


class ItemScaling(nn.Module):
    """Features at mean 0 and deviation 1, by batch normalisation over all items.

    Args:
        in_features: how many there are.
        log1p: whether a feature x first becomes `sign(x) * log(1 + |x|)`, which tames counts and long tails.

    Raises:
        ConfigError: there is no feature.
    """

    def __init__(self, in_features: int, *, log1p: bool = False) -> None:
        super().__init__()
        if in_features < 1:
            raise ConfigError(f"in_features is {in_features}", remedy="pass the number of features, from 1")
        self.in_features, self.log1p = in_features, log1p
        self.norm = nn.BatchNorm1d(in_features)

    def forward(self, features: Ragged) -> Tensor:
        """Check and scale the features of all items.

        Args:
            features: lists whose values are `[total, in_features]`.

        Returns:
            `[total, in_features]`.

        Raises:
            DataError: a feature is not a finite number.
            ShapeError: the values have another width.
        """
        return self.scale(self.checked(features.values))

    def checked(self, values: Tensor) -> Tensor:
        """The values as numbers of the layer's precision.

        Args:
            values: `[total, in_features]`.

        Raises:
            DataError: a feature is not a finite number.
            ShapeError: the values have another width.
        """
        if values.ndim != 2 or values.shape[1] != self.in_features:
            raise ShapeError(
                f"the features are {tuple(values.shape)}, not [total, {self.in_features}]",
                remedy=f"pass lists of items with {self.in_features} numbers each",
            )
        wrong = ~values.isfinite()
        if bool(wrong.any()):
            item, column = (int(place) for place in wrong.nonzero()[0])
            raise DataError(
                f"feature {column} of item {item} is {float(values[item, column])}",
                remedy="fill what is missing, or leave those items out",
            )
        return values.to(self.norm.weight.dtype)

    def scale(self, values: Tensor) -> Tensor:
        """Scale checked values.

        Args:
            values: `[total, in_features]`.
        """
        if self.log1p:
            values = values.sign() * values.abs().log1p()
        if len(values) > 1 or not self.training:
            return self.norm(values)  # type: ignore[no-any-return]
        # One item has no deviation: it is scaled by what was seen before.
        norm = self.norm
        return nn.functional.batch_norm(
            values, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
        )


def as_scores(values: Tensor, features: Ragged) -> Ragged:
    """One score an item as lists.

    Args:
        values: `[total, 1]`.
        features: the lists that were scored.
    """
    return Ragged(values.squeeze(1), features.offsets)


def check_hidden(hidden: tuple[int, ...], *, scorer: str) -> None:
    """Refuse a scorer without a hidden layer.

    Args:
        hidden: widths of the hidden layers.
        scorer: its name, for the message.

    Raises:
        ConfigError: there is none, or a width is not positive.
    """
    if not hidden or min(hidden) < 1:
        raise ConfigError(
            f"hidden is {list(hidden)}", where=scorer, remedy="pass positive widths, such as (64, 32)"
        )
