"""Where a feature's values come from: the user, the item, the moment, the history or the context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from shortlist.data.dataset import Dataset
from shortlist.data.features import Feature, History, Id, Timestamp
from shortlist.errors import ConfigError, SchemaError, did_you_mean

Side = Literal["user", "item", "context", "time", "history"]

# What a batch holds beside the features.
RESERVED = ("user_index", "item_index", "weight", "label")


def sides_of(dataset: Dataset, query: Sequence[Feature], candidate: Sequence[Feature]) -> dict[str, Side]:
    """Where the values of some features come from.

    Args:
        dataset: whose columns the features read.
        query: features of the user, of the moment and of the history.
        candidate: features of the item.

    Returns:
        A side for each feature's name.

    Raises:
        ConfigError: two features have one name, or a name is taken.
        SchemaError: a feature's column is nowhere, or does not suit the feature.
    """
    pairs = [(each, query_side(dataset, each)) for each in query]
    pairs += [(each, item_side(dataset, each)) for each in candidate]
    seen: dict[str, tuple[Feature, Side]] = {}
    for feature, side in pairs:
        if feature.name in RESERVED:
            raise ConfigError(
                f"every batch has an entry {feature.name!r} of its own",
                where=f"{type(feature).__name__}({feature.column!r})",
                remedy="give the feature another name: name='…'",
            )
        if seen.setdefault(feature.name, (feature, side)) != (feature, side):
            raise ConfigError(
                f"two features have the name {feature.name!r}", remedy="give one of them another: name='…'"
            )
    return {name: side for name, (_, side) in seen.items()}


def is_query_feature(dataset: Dataset, feature: Feature) -> bool:
    """Whether a request can have a feature: it describes the user, the moment or the history."""
    try:
        query_side(dataset, feature)
    except SchemaError:
        return False
    return True


def query_side(dataset: Dataset, feature: Feature) -> Side:
    """Where a query tower's feature comes from.

    Args:
        dataset: whose columns the feature reads.
        feature: any.

    Raises:
        SchemaError: a request does not have the column, or it does not suit the feature.
    """
    schema, column = dataset.schema, feature.column
    where = f"{type(feature).__name__} of the query tower"
    if isinstance(feature, History):
        return "history"
    if isinstance(feature, Id) and column != schema.user_id:
        raise _no_id(column, schema.user_id, where)
    if column in dataset.audience.columns:
        return "user"
    if column == schema.timestamp and isinstance(feature, Timestamp):
        return "time"
    context = [] if dataset.context is None else dataset.context.columns
    if column in context:
        return "context"
    if column == schema.timestamp:
        raise SchemaError(f"column {column!r} holds times", where=where, remedy="use a Timestamp")
    if column in (schema.label, schema.event):
        raise SchemaError(
            f"column {column!r} is known only after a request was answered",
            where=where,
            remedy="leave it out: models learn from it as the schema says",
        )
    raise SchemaError(
        f"no column {column!r} among the users or the interactions",
        where=where,
        remedy=did_you_mean(column, [*dataset.audience.columns, *context]),
    )


def item_side(dataset: Dataset, feature: Feature) -> Side:
    """Where a candidate tower's feature comes from: the item.

    Args:
        dataset: whose columns the feature reads.
        feature: any but a History.

    Raises:
        SchemaError: no column of that name describes items, or it does not suit the feature.
    """
    schema, column = dataset.schema, feature.column
    where = f"{type(feature).__name__} of the candidate tower"
    if isinstance(feature, Id) and column != schema.item_id:
        raise _no_id(column, schema.item_id, where)
    known = [*dataset.catalogue.columns, *([] if dataset.context is None else dataset.context.columns)]
    if column not in known or isinstance(feature, History):
        raise SchemaError(
            f"no column {column!r} that describes items", where=where, remedy=did_you_mean(column, known)
        )
    return "item"


def _no_id(column: str, wanted: str, where: str) -> SchemaError:
    return SchemaError(
        f"column {column!r} holds no ids that have an index here",
        where=where,
        remedy=f"use Id({wanted!r}) or Category({column!r})",
    )
