"""Query features in the form that a device feeds them: numbers as they are, rows of tables with a mask."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.data.encodings import (
    CYCLES,
    DAY,
    FARTHEST,
    BucketEncoding,
    StandardEncoding,
    TimeEncoding,
    VocabularyEncoding,
)
from shortlist.data.feature_space import FeatureSpace, take
from shortlist.data.features import Category, Feature, History, Id, Number, Timestamp
from shortlist.errors import ConfigError
from shortlist.export.contents import Contents
from shortlist.export.manifest import DeviceInput
from shortlist.nn.encoders import DenseEncoder, HistoryEncoder, IndexEncoder

Inputs = Mapping[str, Tensor]


class DenseFeature(nn.Module):
    """Base of what encodes one feature from named inputs.

    Args:
        names: of the inputs that it reads, as the manifest names them.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        super().__init__()
        self.names = tuple(names)


class ConstantFeature(DenseFeature):
    """What is the same for everybody on a device, where nobody has a known id.

    Args:
        value: `[1, width]`.
    """

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value.detach().float())

    def forward(self, inputs: Inputs) -> Tensor:
        """`[1, width]`."""
        return self.value


class RowFeature(DenseFeature):
    """A row of a small table by number.

    Args:
        name: of the input, `[batch]` int32.
        table: `[numbers, width]`.
    """

    table: Tensor

    def __init__(self, name: str, table: Tensor) -> None:
        super().__init__([name])
        self.register_buffer("table", table.detach().float())

    def forward(self, inputs: Inputs) -> Tensor:
        """`[batch, width]`."""
        return functional.embedding(inputs[self.names[0]].long(), self.table)


class BucketFeature(DenseFeature):
    """A row for the bucket that a number falls into.

    Args:
        name: of the input, `[batch]` float32, NaN where missing.
        encoding: with the buckets' bounds.
        table: `[buckets, width]`, row 0 for what is missing.
    """

    bounds: Tensor
    table: Tensor

    def __init__(self, name: str, encoding: BucketEncoding, table: Tensor) -> None:
        super().__init__([name])
        self.register_buffer("bounds", torch.tensor(encoding.bounds, dtype=torch.float32))
        self.register_buffer("table", table.detach().float())

    def forward(self, inputs: Inputs) -> Tensor:
        """`[batch, width]`."""
        numbers = inputs[self.names[0]]
        buckets = (numbers[:, None] >= self.bounds).long().sum(1) + 1
        return functional.embedding(torch.where(numbers.isnan(), 0, buckets), self.table)


class NumberFeature(DenseFeature):
    """A standardised number.

    Args:
        name: of the input, `[batch]` float32, NaN where missing.
        encoding: with mean and deviation.
        projection: of the value and of whether it is missing.
    """

    def __init__(self, name: str, encoding: StandardEncoding, projection: nn.Module) -> None:
        super().__init__([name])
        self.mean, self.deviation, self.projection = encoding.mean, encoding.deviation, projection

    def forward(self, inputs: Inputs) -> Tensor:
        """`[batch, width]`."""
        numbers = inputs[self.names[0]]
        missing = numbers.isnan()
        distances = ((numbers - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST)
        values = torch.stack([torch.where(missing, 0.0, distances), missing.float()], dim=1)
        return self.projection(values)  # type: ignore[no-any-return]


class TimeFeature(DenseFeature):
    """A moment as cyclic parts and an age.

    Seconds since 1970 are too many for float32, so days and seconds of the day come apart.

    Args:
        name: of the input, `[batch, 2]` int32: days since 1970 and the second of the day, -1 where unknown.
        encoding: with origin and scale.
        projection: of the eight numbers.
    """

    def __init__(self, name: str, encoding: TimeEncoding, projection: nn.Module) -> None:
        super().__init__([name])
        self.origin_day, self.origin_second = divmod(encoding.origin, DAY)
        self.scale, self.projection = encoding.scale, projection

    def forward(self, inputs: Inputs) -> Tensor:
        """`[batch, width]`."""
        days, seconds = (part.float() for part in inputs[self.names[0]].unbind(1))
        missing = seconds < 0
        parts = []
        for cycle in CYCLES:
            length = cycle / DAY
            turns = (days - torch.floor(days / length) * length + seconds / DAY) / length
            parts += [torch.sin(turns * (2 * math.pi)), torch.cos(turns * (2 * math.pi))]
        age = (days - self.origin_day) * (DAY / self.scale) + (seconds - self.origin_second) / self.scale
        values = torch.stack([*parts, age.clamp(-4, 4)], dim=1)
        values = torch.where(missing[:, None], 0.0, values)
        return self.projection(torch.cat([values, missing.float()[:, None]], dim=1))  # type: ignore[no-any-return]


class HistoryFeature(DenseFeature):
    """The mean, or a weighted mean, of a history's rows; an item without a row of its own has zeros.

    Args:
        name: of the history's rows, `[batch, n, width]`, oldest first, padded at the end; its mask is
            `NAME_mask`, `[batch, n]`.
        score: of the items' scores, `[batch, n, 1]`, where the weights are learned.
        distance_score: `[length]`, by distance from the end.
    """

    distance_score: Tensor | None

    def __init__(self, name: str, score: str | None = None, distance_score: Tensor | None = None) -> None:
        super().__init__([name] if score is None else [name, score])
        self.register_buffer(
            "distance_score", None if distance_score is None else distance_score.detach().float()
        )

    def forward(self, inputs: Inputs) -> Tensor:
        """`[batch, width]`; zero for an empty history."""
        rows, mask = inputs[self.names[0]], inputs[f"{self.names[0]}_mask"]
        powers = mask * (rows.abs().amax(2) > 0).float()
        if self.distance_score is not None:
            powers = powers * self._powers(inputs, mask, self.distance_score)
        weights = powers / powers.sum(1, keepdim=True).clamp(min=1e-30)
        return (weights[:, None] @ rows).squeeze(1)

    def _powers(self, inputs: Inputs, mask: Tensor, distance_score: Tensor) -> Tensor:
        score = self.names[1]
        place = torch.arange(mask.shape[1], device=mask.device)
        distance = mask.sum(1, keepdim=True) - 1 - place.float()
        near = functional.embedding(
            distance.long().clamp(0, len(distance_score) - 1), distance_score[:, None]
        ).squeeze(2)
        scores = inputs[score].squeeze(2) + near
        return torch.exp(scores.clamp(-30, 30)) * inputs[f"{score}_mask"]


def dense_feature(
    feature: Feature, encoder: nn.Module, space: FeatureSpace, contents: Contents
) -> DenseFeature:
    """The dense form of a query feature's encoder, with the same weights; its inputs and tables are added.

    Args:
        feature: of the query, no history with `pooling="target"`.
        encoder: what it was trained with.
        space: knows the feature's encoding.
        contents: of the export.

    Raises:
        ConfigError: a device cannot fill the feature.
    """
    if isinstance(feature, History):
        return _history(feature, encoder, space, contents)
    if isinstance(feature, Id):
        unknown = take(space.user_columns[feature.name], torch.zeros(1, dtype=torch.int64))
        with torch.no_grad():
            return ConstantFeature(encoder(unknown))
    encoding = space.encodings[feature.name]
    is_now = space.sides[feature.name] == "time"
    if isinstance(feature, Category) and isinstance(encoding, VocabularyEncoding):
        assert isinstance(encoder, IndexEncoder)
        values = tuple(encoding.vocabulary.ids.to_list())
        wanted = DeviceInput(feature.name, "category", column=feature.column, values=values)
        return RowFeature(contents.add_input(wanted), encoder.embedding.weight)
    if isinstance(feature, Number):
        name = contents.add_input(DeviceInput(feature.name, "number", column=feature.column))
        if isinstance(encoding, BucketEncoding):
            assert isinstance(encoder, IndexEncoder)
            return BucketFeature(name, encoding, encoder.embedding.weight)
        return NumberFeature(name, cast(StandardEncoding, encoding), _projection(encoder))
    if isinstance(feature, Timestamp):
        wanted = DeviceInput(feature.name, "timestamp", column=feature.column, now=is_now)
        return TimeFeature(contents.add_input(wanted), cast(TimeEncoding, encoding), _projection(encoder))
    raise refusal(feature)


def history_table(feature: History, weight: Tensor, space: FeatureSpace, contents: Contents) -> Tensor:
    """The row of each device item in a table that a history reads.

    Args:
        feature: the history.
        weight: `[values, width]` by the history's own numbers.
        space: knows the number of each item.
        contents: knows the device's items.

    Returns:
        `[count + 1, width]` float32.
    """
    numbers = cast(Tensor, space.item_columns[feature.name])
    return weight.detach().float()[numbers[torch.from_numpy(contents.rows)]]


def refusal(feature: Feature) -> ConfigError:
    """The error for a feature that a device cannot fill.

    Args:
        feature: of the query.
    """
    kind = type(feature).__name__
    remedies = {
        "Category": "leave out buckets=, so that the values are kept, or train without the feature",
        "Text": "train the query without it, or with a Category",
        "Tags": "train the query without it, or with a Category",
        "Vector": "train the query without it, or with Numbers",
    }
    return ConfigError(
        f"a device cannot fill {kind}({feature.column!r}) of the query: its encoder is not at hand there",
        where="export",
        remedy=remedies.get(kind, "train the query without it"),
    )


def _history(feature: History, encoder: nn.Module, space: FeatureSpace, contents: Contents) -> DenseFeature:
    assert isinstance(encoder, HistoryEncoder)
    table = contents.add_table(
        "history", history_table(feature, encoder.embedding.weight, space, contents).numpy()
    )
    wanted = DeviceInput(feature.name, "history", table=table, length=feature.length)
    name = contents.add_input(wanted)
    if not encoder.attention:
        return HistoryFeature(name)
    scores = history_table(feature, encoder.item_score[:, None], space, contents).numpy()
    score = contents.add_table("history_score", scores)
    weighed = DeviceInput(f"{feature.name}_score", "history", table=score, length=feature.length)
    return HistoryFeature(name, contents.add_input(weighed), encoder.distance_score)


def _projection(encoder: nn.Module) -> nn.Module:
    assert isinstance(encoder, DenseEncoder)
    return encoder.projection
