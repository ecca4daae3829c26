"""What every store does, whatever database is behind it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shortlist.serving.stores.exposures import Exposure

Values = dict[str, Any]
"""Values by name, as JSON holds them."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a user did with an item.

    Args:
        id: of the event; the same id twice is the same event.
        user: the user's id.
        item: the item's id.
        time: seconds since 1970.
        type: such as `"view"`; None where events have no types.
        context: further values, such as the device.
    """

    id: str
    user: str
    item: str
    time: int
    type: str | None = None
    context: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemChange:
    """What is to be done to an item.

    Args:
        item: its id.
        columns: values of the item table; None removes the item.
        replace: whether these columns are all that is known of the item from now on; else those that are not
            named stay.
    """

    item: str
    columns: Values | None
    replace: bool = True


@dataclass(frozen=True, slots=True)
class StoredItem:
    """What the store knows of an item.

    Args:
        item: its id.
        columns: values of the item table; None where it was removed.
        version: of the store's items after its last change.
    """

    item: str
    columns: Values | None
    version: int


@dataclass(frozen=True, slots=True)
class UserData:
    """All that is kept of a user.

    Args:
        user: the id.
        features: what was said of the user.
        events: what the user did, oldest first.
        exposures: lists of experiments, in the order they were kept.
    """

    user: str
    features: Values
    events: tuple[Event, ...]
    exposures: tuple[Exposure, ...] = ()


class Store(ABC):
    """Events, items and users, kept durably; all methods may be called from any thread.

    Every method may raise `StoreError` where the database cannot be reached, or does not answer in time; what
    was to be written is then written whole or not at all, and may be sent again.
    """

    @abstractmethod
    def add_events(self, events: Sequence[Event]) -> list[bool]:
        """Keep events; they are on the disk when this returns.

        Args:
            events: in the order they came. One whose id is known already is left out.

        Returns:
            For each event, whether it was new.
        """

    @abstractmethod
    def histories(self, users: Sequence[str], limit: int) -> dict[str, list[Event]]:
        """What some users did last.

        Args:
            users: distinct ids.
            limit: how many events a user at most, at least 1.

        Returns:
            The latest events by user, oldest first, those of one second in the order they came; users without
            any are left out.
        """

    @abstractmethod
    def change_items(self, changes: Sequence[ItemChange]) -> int:
        """Add, change or remove items, all at once.

        Args:
            changes: distinct items.

        Returns:
            The version of the store's items that has these changes.
        """

    @abstractmethod
    def items_since(self, version: int) -> list[StoredItem]:
        """The items that changed after a version, in the order of their versions.

        Args:
            version: as `change_items` and `StoredItem` give; 0 for all items.
        """

    @abstractmethod
    def put_features(self, user: str, features: Mapping[str, Any]) -> None:
        """Say what is known of a user; it replaces what was said before.

        Args:
            user: the id.
            features: values by name, as JSON can hold them.
        """

    @abstractmethod
    def features(self, users: Sequence[str]) -> dict[str, Values]:
        """What is known of some users, without those of whom nothing is.

        Args:
            users: distinct ids.
        """

    @abstractmethod
    def add_exposures(self, exposures: Sequence[Exposure]) -> None:
        """Keep lists that were shown; they are on the disk when this returns.

        Args:
            exposures: in the order they came. One whose id is known already is left out.
        """

    @abstractmethod
    def exposures_since(self, place: int, limit: int) -> list[tuple[int, Exposure]]:
        """Exposures with their places, which grow in the order they were kept.

        Args:
            place: after which they begin; 0 for the first.
            limit: how many at most.
        """

    @abstractmethod
    def put_setting(self, name: str, value: Values | None) -> None:
        """Keep what all servers of the store go by.

        Args:
            name: of the setting.
            value: as JSON can hold it; None forgets the setting.
        """

    @abstractmethod
    def setting(self, name: str) -> Values | None:
        """A setting, or None where there is none.

        Args:
            name: of the setting.
        """

    @abstractmethod
    def export_user(self, user: str) -> UserData:
        """All that is kept of a user.

        Args:
            user: the id.
        """

    @abstractmethod
    def erase_user(self, user: str) -> int:
        """Forget a user: events, their ids, features and exposures.

        Args:
            user: the id.

        Returns:
            How many events were there.
        """

    @abstractmethod
    def check(self) -> None:
        """Do nothing, but fail where the database cannot be reached."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all connections."""


def to_json(values: Mapping[str, Any] | None) -> str | None:
    """Values as text that any database can hold: ASCII, and no null character."""
    return None if values is None else json.dumps(values, separators=(",", ":"), allow_nan=False)


def from_json(text: str | bytes | None) -> Values | None:
    """The reverse of `to_json`."""
    return None if text is None else dict(json.loads(text))


def merged(change: ItemChange, known: Values | None) -> Values | None:
    """The columns of an item after a change.

    Args:
        change: of the item.
        known: its columns before; None where it is not known.
    """
    if change.columns is None or change.replace:
        return change.columns
    return (known or {}) | change.columns


def by_user(rows: Iterable[Sequence[Any]]) -> dict[str, list[Event]]:
    """Events by their user.

    Args:
        rows: the fields of an `Event` each, the context as JSON.
    """
    found: dict[str, list[Event]] = {}
    for id_, user, item, time, type_, context in rows:
        event = Event(id_, user, item, time, type_, from_json(context) or {})
        found.setdefault(user, []).append(event)
    return found


def first_of_each(ids: Sequence[str], new: set[str]) -> list[bool]:
    """Which ids are new ones that did not come before in the same list.

    Args:
        ids: of events.
        new: those that were not known; emptied.
    """
    found = []
    for id_ in ids:
        found.append(id_ in new)
        new.discard(id_)
    return found
