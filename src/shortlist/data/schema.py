"""What the columns of the tables mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import polars as pl

from shortlist.data.times import epoch_seconds
from shortlist.data.vocabulary import normalise_ids
from shortlist.errors import ConfigError, DataError, SchemaError, did_you_mean


@dataclass(frozen=True)
class EventType:
    """What one type of event (a view, a like, a purchase, a dislike) counts as.

    Args:
        weight: how much a label of this type counts in the loss and in popularity; not negative.
        label: whether models learn to predict such events.
        history: whether such events are part of a user's history.
        negative: whether the event says that the user did *not* want the item; then it is a negative
            label for rankers, no positive for retrievers, and in no history.

    Raises:
        ConfigError: the weight is negative or not finite.
    """

    weight: float = 1.0
    label: bool = True
    history: bool = True
    negative: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise ConfigError(
                f"an event's weight must be a number from 0 up, got {self.weight}", remedy="use 1.0"
            )


@dataclass(frozen=True)
class Schema:
    """Names the columns of the interactions that every part needs.

    Args:
        user_id: column of user ids.
        item_id: column of item ids.
        timestamp: column of times, or None where the order of events is unknown.
        label: numeric column such as a rating, or None.
        event: column with the type of each event, or None where all are alike.
        events: what each type counts as; a type that is not named is refused.

    Raises:
        ConfigError: one column is named for two purposes, or `events` is given without `event`.
    """

    user_id: str = "user_id"
    item_id: str = "item_id"
    timestamp: str | None = None
    label: str | None = None
    event: str | None = None
    events: Mapping[str, EventType] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.columns
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(
                    f"column {name!r} is named for two purposes", remedy="name each column once"
                )
        if self.events and self.event is None:
            raise ConfigError(
                "the schema gives weights to event types but no column of them", remedy='set event="…"'
            )

    @property
    def columns(self) -> list[str]:
        """The columns that the interactions must have."""
        named = (self.user_id, self.item_id, self.timestamp, self.label, self.event)
        return [name for name in named if name is not None]

    def check(self, interactions: pl.DataFrame, *, where: str = "the interactions") -> None:
        """Refuse a table that lacks a column of the schema.

        Args:
            interactions: the table.
            where: how to call it in the error.

        Raises:
            SchemaError: a column is missing.
        """
        for name in self.columns:
            if name not in interactions.columns:
                raise SchemaError(
                    f"column {name!r} is missing",
                    where=where,
                    remedy=did_you_mean(name, interactions.columns),
                )

    def check_tables(
        self, interactions: pl.DataFrame, users: pl.DataFrame | None, items: pl.DataFrame | None
    ) -> None:
        """Refuse tables that cannot make a dataset.

        Args:
            interactions: one row an event.
            users: one row a user, or None.
            items: one row an item, or None.

        Raises:
            SchemaError: a column is missing, or the times or the labels are of a wrong kind.
            DataError: there is no event, a value is missing, or an id is neither a string nor an integer.
        """
        self.check(interactions)
        for table, key, where in ((users, self.user_id, "users"), (items, self.item_id, "items")):
            if table is not None and key not in table.columns:
                raise SchemaError(
                    f"column {key!r} is missing", where=f"the {where} table", remedy="rename its id column"
                )
        if len(interactions) == 0:
            raise DataError(
                "there is no event", where="the interactions", remedy="check the file and its filters"
            )
        for name in self.columns:
            _check_complete(interactions[name])
        self._check_kinds(interactions)

    def _check_kinds(self, interactions: pl.DataFrame) -> None:
        for name in (self.user_id, self.item_id):
            normalise_ids(interactions[name].head(0))
        if self.timestamp is not None:
            epoch_seconds(interactions[self.timestamp].head(0))
        kind = pl.Boolean() if self.label is None else interactions[self.label].dtype
        if not (kind.is_numeric() or kind == pl.Boolean):
            raise SchemaError(
                f"labels must be numbers, got {kind}",
                where=f"column {self.label!r}",
                remedy="cast the column to Float32",
            )

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {**asdict(self), "events": {name: asdict(kind) for name, kind in self.events.items()}}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Schema:
        """The reverse of `to_dict`.

        Raises:
            ConfigError: a key is unknown.
        """
        _refuse_unknown_keys(saved, cls, "the schema")
        for name, kind in saved.get("events", {}).items():
            _refuse_unknown_keys(kind, EventType, f"event type {name!r} of the schema")
        events = {name: EventType(**kind) for name, kind in saved.get("events", {}).items()}
        return cls(**{**saved, "events": events})


def _refuse_unknown_keys(saved: Mapping[str, Any], cls: type[Schema | EventType], where: str) -> None:
    known = [each.name for each in fields(cls)]
    for name in saved:
        if name not in known:
            raise ConfigError(f"unknown key {name!r}", where=where, remedy=did_you_mean(name, known))


def _check_complete(column: pl.Series) -> None:
    if column.null_count():
        raise DataError(
            f"{column.null_count()} of {len(column)} values of column {column.name!r} are missing",
            where="the interactions",
            remedy="read the table with shortlist.datasets, which counts and drops such rows",
        )
