"""From requests and item indices to the tensors that a model's towers read."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.encodings import Encoding, SeenEncoding, TimeEncoding
from shortlist.data.features import Category, Feature, History, Id
from shortlist.data.fitting import fit_encoding
from shortlist.data.growth import replace_rows
from shortlist.data.ragged import Ragged, gather_windows
from shortlist.data.requests import Requests
from shortlist.data.sides import Side, item_side, sides_of
from shortlist.errors import ConfigError, ShapeError, did_you_mean

Batch = dict[str, Tensor | Ragged]


class FeatureSpace:
    """The features of a model, what they learned from the train part, and the encoded users and items.

    Args:
        dataset: whose users and items are encoded.
        query: features of the user, of the moment and of the history.
        candidate: features of the item.
        encodings: what each feature learned, by the feature's name.

    Raises:
        ConfigError: two features have one name, or a name is taken.
        SchemaError: a feature's column is nowhere, or does not suit the feature.
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
        self.user_vocabulary, self.item_vocabulary = dataset.user_vocabulary, dataset.item_vocabulary
        self.num_users, self.num_items = len(dataset.user_vocabulary), len(dataset.item_vocabulary)
        self.encodings = dict(encodings)
        self.sides = sides_of(dataset, query, candidate)
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

        Raises:
            ConfigError: two features have one name, or a name is taken.
            SchemaError: a feature's column is nowhere, or does not suit the feature.
            DataError: a column holds nothing to learn from.
        """
        sides = sides_of(dataset, query, candidate)
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
            One entry a candidate feature, `[n, …]`, and one a history with `pooling="target"`.
        """
        batch = {feature.name: take(self.item_columns[feature.name], items) for feature in self.candidate}
        for feature in self.query:
            if isinstance(feature, History) and feature.pooling == "target":
                batch[feature.target_name] = take(self.item_columns[feature.name], items)
        return batch

    def with_items(self, dataset: Dataset, rows: Tensor) -> FeatureSpace:
        """The same features for a dataset that `shortlist.data.growth.with_items` made of this one's.

        Args:
            dataset: with the items.
            rows: `[n]` int64 indices of the items that are new or described anew; only these are encoded.
        """
        grown = copy.copy(self)
        grown.item_vocabulary, grown.num_items = dataset.item_vocabulary, len(dataset.item_vocabulary)
        grown.item_columns = dict(self.item_columns)
        for feature in {each.name: each for each in (*self.query, *self.candidate)}.values():
            if feature.name in self.item_columns:
                values = _encode_items(dataset, feature, self.encodings[feature.name], rows)
                grown.item_columns[feature.name] = replace_rows(self.item_columns[feature.name], rows, values)
        return grown

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
    # index_select, since plain indexing takes three times as long.
    return column.take(rows) if isinstance(column, Ragged) else column.index_select(0, rows)


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


def _encode_items(dataset: Dataset, feature: Feature, encoding: Encoding, rows: Tensor) -> Tensor | Ragged:
    if isinstance(encoding, SeenEncoding):
        return encoding.encode_indices(rows)
    items = dataset.catalogue.items
    if feature.column in items.columns:
        return encoding.encode(items[feature.column].gather(rows.numpy()))
    # The column stands in the events alone, and nobody had an event with a new item.
    return encoding.encode(dataset.interactions[feature.column].clear(len(rows)))


def _fit_id(dataset: Dataset, side: Side) -> SeenEncoding:
    vocabulary = dataset.user_vocabulary if side == "user" else dataset.item_vocabulary
    return SeenEncoding(vocabulary.num_seen() + 1)


def _fit_history(dataset: Dataset, feature: History) -> Encoding:
    if feature.column == dataset.schema.item_id:
        return _fit_id(dataset, "item")
    item_side(dataset, Category(feature.column))
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
    column = dataset.interactions[name]
    rows = np.flatnonzero(column.is_not_null().to_numpy())
    if dataset.times is not None:
        rows = rows[np.argsort(dataset.times[rows], kind="stable")]
    latest = np.full(len(table), -1)
    latest[dataset.item_index[rows]] = rows
    latest[0] = -1
    return column.gather(pl.Series(latest).set(pl.Series(latest < 0), None))
