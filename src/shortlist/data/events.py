"""What each event counts as, from its type: a weight, a label, a part of histories, a negative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.schema import EventType, Schema
from shortlist.errors import SchemaError, did_you_mean

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


def per_event(
    interactions: pl.DataFrame, schema: Schema, value: Callable[[EventType], float]
) -> Float32Array:
    """One number an event, from the type of the event.

    Args:
        interactions: the events.
        schema: which column holds the types, and what each type counts as. Without types all events are
            alike; where the schema names a column but describes no type, any type is a plain positive.
        value: the number of a type.

    Returns:
        `[events]` float32, writable.

    Raises:
        SchemaError: a type is not in the schema.
    """
    if schema.event is None:
        return np.full(len(interactions), value(EventType()), np.float32)
    types = interactions[schema.event].cast(pl.String)
    kinds = {name: _event_type(schema, name) for name in types.unique().drop_nulls()}
    numbers = [value(kind) for kind in kinds.values()]
    return types.replace_strict(list(kinds), numbers, return_dtype=pl.Float32).to_numpy(writable=True)


def labels(interactions: pl.DataFrame, schema: Schema) -> Float32Array | None:
    """What rankers learn to predict: the label column, or 1, and 0 for negative events.

    Args:
        interactions: the events.
        schema: which column holds the labels, and which types are negative.

    Returns:
        `[events]` float32, or None where every event is a plain positive.
    """
    negative = per_event(interactions, schema, lambda kind: float(kind.negative))
    if schema.label is not None:
        given = interactions[schema.label].cast(pl.Float32).to_numpy()
        return np.where(negative > 0, np.float32(0), given)
    return (1 - negative).astype(np.float32) if negative.any() else None


def are_labels(interactions: pl.DataFrame, schema: Schema) -> BoolArray:
    """Which events models learn from: labels and negatives, `[events]` bool."""
    return per_event(interactions, schema, lambda kind: float(kind.label or kind.negative)) > 0


def are_positive(interactions: pl.DataFrame, schema: Schema) -> BoolArray:
    """Which events a retriever is to predict: labels that are no negatives, `[events]` bool."""
    return per_event(interactions, schema, lambda kind: float(kind.label and not kind.negative)) > 0


def are_history(interactions: pl.DataFrame, schema: Schema) -> BoolArray:
    """Which events belong to histories; negatives never do, `[events]` bool."""
    return per_event(interactions, schema, lambda kind: float(kind.history and not kind.negative)) > 0


def _event_type(schema: Schema, name: str) -> EventType:
    if not schema.events:
        return EventType()
    if name not in schema.events:
        raise SchemaError(
            f"event type {name!r} is not in the schema",
            where=f"column {schema.event!r}",
            remedy=did_you_mean(name, schema.events),
        )
    return schema.events[name]
