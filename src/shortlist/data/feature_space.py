"""From requests and item indices to the tensors that a model's towers read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import polars as pl
import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.encodings import Encoding, SeenEncoding, TimeEncoding
from shortlist.data.features import Category, Feature, History, Id, Timestamp
from shortlist.data.fitting import fit_encoding
from shortlist.data.ragged import Ragged, gather_windows
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, SchemaError, ShapeError, did_you_mean

Batch = dict[str, Tensor | Ragged]
Side = Literal["user", "item", "context", "time", "history"]


class FeatureSpace:
    """The features of a model, what they learned from the train part, and the encoded users and items.

    Args:
        dataset: whose users and items are encoded.
        query: features of the user, of the moment and of the history.
        candidate: features of the item.
        encodings: what each feature learned, by the feature's name.

    Raises:
        ConfigError: two features have one name.
        SchemaError: a feature's column is nowhere.
    """

    def __init__(
        self,
        dataset: Dataset,
        query: Sequence[Feature],
        candidate: Sequence[Feature],
        encodings: Mapping[str, Encoding],
    ) -> None:
        self.query, self.candidate = tuple(query), tuple(candidate)
        self.schema = dataset.schema
        self.num_users, self.num_items = len(dataset.user_vocabulary), len(dataset.item_vocabulary)
        self.encodings = dict(encodings)
        self.sides = {**_sides(dataset, query, _query_side), **_sides(dataset, candidate, _item_side)}
        self.user_columns: Batch = {}
        self.item_columns: Batch = {}
        for feature in {each.name: each for each in (*query, *candidate)}.values():
            self._encode_table(dataset, feature)

    @classmethod
    def fit(
        cls, dataset: Dataset, query: Sequence[Feature], candidate: Sequence[Feature] = ()
    ) -> FeatureSpace:
        """Learn the features' encodings from a train part.

        Args:
            dataset: the train part.
            query: features of the user, of the moment and of the history.
            candidate: features of the item.
        """
        _refuse_clashes((*query, *candidate))
        sides = {**_sides(dataset, query, _query_side), **_sides(dataset, candidate, _item_side)}
        encodings: dict[str, Encoding] = {}
        for feature in (*query, *candidate):
            if isinstance(feature, History):
                encodings[feature.name] = _fit_history(dataset, feature)
            elif isinstance(feature, Id):
                encodings[feature.name] = _fit_id(dataset, sides[feature.name])
            else:
                encodings[feature.name] = fit_encoding(
                    feature, _column(dataset, feature, sides[feature.name])
                )
        return cls(dataset, query, candidate, encodings)

    @property
    def history_length(self) -> int:
        """The longest history that a feature reads; 0 where none reads one."""
        return max((each.length for each in self.query if isinstance(each, History)), default=0)

    def encode_context(self, requests: Requests) -> Batch:
        """Encode the context columns of some requests; a missing column is a missing value.

        Args:
            requests: who asks.
        """
        frame = pl.DataFrame() if requests.context is None else requests.context
        missing = pl.Series([None] * len(requests))
        return {
            feature.name: self.encodings[feature.name].encode(  # type: ignore[union-attr]
                frame[feature.column] if feature.column in frame.columns else missing.alias(feature.column)
            )
            for feature in self.query
            if self.sides[feature.name] == "context"
        }

    def query_batch(self, requests: Requests, *, context: Batch | None = None) -> Batch:
        """What a query tower reads.

        Args:
            requests: who asks, with the histories and the context.
            context: the requests' context columns where they are encoded already.

        Returns:
            One entry a query feature, `[batch, …]`.
        """
        batch: Batch = {}
        for feature in self.query:
            name = feature.name
            match self.sides[name]:
                case "user":
                    batch[name] = take(self.user_columns[name], requests.users)
                case "time":
                    encoding = self.encodings[name]
                    assert isinstance(encoding, TimeEncoding)
                    seconds = requests.times.double()
                    batch[name] = encoding.encode_seconds(
                        torch.where(requests.times == 0, torch.nan, seconds)
                    )
                case "history":
                    assert isinstance(feature, History)
                    batch[name] = self._history(feature, requests)
                case "context":
                    if context is None:
                        context = self.encode_context(requests)
                    batch[name] = context[name]
                case "item":
                    raise ConfigError(
                        f"feature {name!r} describes items", remedy="give it to the candidate tower"
                    )
        return batch

    def candidate_batch(self, items: Tensor) -> Batch:
        """What a candidate tower reads.

        Args:
            items: `[n]` int64 item indices.

        Returns:
            One entry a candidate feature, `[n, …]`.
        """
        return {feature.name: take(self.item_columns[feature.name], items) for feature in self.candidate}

    def _history(self, feature: History, requests: Requests) -> Ragged:
        history = requests.history
        lengths = history.lengths.clamp(max=feature.length)
        recent = gather_windows(history.values, history.offsets[1:] - lengths, lengths)
        column = self.item_columns[feature.name]
        assert isinstance(column, Tensor)
        return Ragged(column[recent.values], recent.offsets)

    def _encode_table(self, dataset: Dataset, feature: Feature) -> None:
        side, encoding = self.sides[feature.name], self.encodings[feature.name]
        if side in ("context", "time"):
            return
        columns = self.user_columns if side == "user" else self.item_columns
        if isinstance(encoding, SeenEncoding):
            table = dataset.audience if side == "user" else dataset.catalogue
            columns[feature.name] = encoding.encode_indices(torch.arange(len(table)))
        else:
            source = "item" if side == "history" else side
            columns[feature.name] = encoding.encode(_column(dataset, feature, source))


def take(column: Tensor | Ragged, rows: Tensor) -> Tensor | Ragged:
    """Some rows of an encoded column.

    Args:
        column: `[n, …]`.
        rows: `[m]` int64.
    """
    return column.take(rows) if isinstance(column, Ragged) else column[rows]


def dense(batch: Mapping[str, Tensor | Ragged], name: str) -> Tensor:
    """An entry of a batch that is a plain tensor.

    Args:
        batch: the batch.
        name: of the entry.

    Raises:
        ShapeError: the batch lacks it, or its rows have different lengths.
    """
    entry = batch.get(name)
    if not isinstance(entry, Tensor):
        raise ShapeError(f"the batch has no tensor {name!r}", remedy=did_you_mean(name, batch))
    return entry


def is_query_feature(dataset: Dataset, feature: Feature) -> bool:
    """Whether a request can have a feature: it describes the user, the moment or the history."""
    try:
        _query_side(dataset, feature)
    except SchemaError:
        return False
    return True


def _sides(dataset: Dataset, features: Iterable[Feature], side: object) -> dict[str, Side]:
    return {feature.name: side(dataset, feature) for feature in features}  # type: ignore[operator]


def _query_side(dataset: Dataset, feature: Feature) -> Side:
    schema, column = dataset.schema, feature.column
    if isinstance(feature, History):
        return "history"
    if column == schema.user_id or (dataset.users is not None and column in dataset.users.columns):
        return "user"
    if column == schema.timestamp and isinstance(feature, Timestamp):
        return "time"
    if column in dataset.interactions.columns and column != schema.item_id:
        return "context"
    known = [*dataset.interactions.columns, *([] if dataset.users is None else dataset.users.columns)]
    raise SchemaError(
        f"no column {column!r} among the users or the interactions",
        where=f"{type(feature).__name__} of the query tower",
        remedy=did_you_mean(column, known),
    )


def _item_side(dataset: Dataset, feature: Feature) -> Side:
    schema, column = dataset.schema, feature.column
    known = [*([] if dataset.items is None else dataset.items.columns), *dataset.interactions.columns]
    if column not in known or column == schema.user_id or isinstance(feature, History):
        raise SchemaError(
            f"no column {column!r} that describes items",
            where=f"{type(feature).__name__} of the candidate tower",
            remedy=did_you_mean(column, [name for name in known if name != schema.user_id]),
        )
    return "item"


def _refuse_clashes(features: Sequence[Feature]) -> None:
    seen: dict[str, Feature] = {}
    for feature in features:
        if seen.setdefault(feature.name, feature) != feature:
            raise ConfigError(
                f"two features have the name {feature.name!r}", remedy="give one of them another: name='…'"
            )


def _fit_id(dataset: Dataset, side: Side) -> SeenEncoding:
    vocabulary = dataset.user_vocabulary if side == "user" else dataset.item_vocabulary
    return SeenEncoding(vocabulary.num_seen() + 1)


def _fit_history(dataset: Dataset, feature: History) -> Encoding:
    if feature.column == dataset.schema.item_id:
        return _fit_id(dataset, "item")
    _item_side(dataset, Category(feature.column))
    return fit_encoding(Category(feature.column), _column(dataset, feature, "item"))


def _column(dataset: Dataset, feature: Feature, side: Side) -> pl.Series:
    """The values of a feature's column, one a user, an item or an event."""
    name = feature.column
    if side in ("context", "time"):
        return dataset.interactions[name]
    table = dataset.audience if side == "user" else dataset.catalogue
    if name in table.columns:
        return table.column(name)
    # The column stands in the events alone: an item is described by its latest event that has a value.
    key = dataset.schema.user_id if side == "user" else dataset.schema.item_id
    known = dataset.interactions.select(key, name).drop_nulls(name)
    if dataset.times is not None:
        times = dataset.interactions.select(key, name, dataset.schema.timestamp or key).drop_nulls(name)
        known = times.sort(dataset.schema.timestamp or key, maintain_order=True).select(key, name)
    return table.items.select(key).join(
        known.unique(key, keep="last", maintain_order=True), on=key, how="left", maintain_order="left"
    )[name]
