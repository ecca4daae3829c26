"""Three tables and what their columns mean; ids encoded once, splits that share vocabularies."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data import split
from shortlist.data.catalogue import Catalogue, aligned_items
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.data.schema import EventType, Schema
from shortlist.data.timeline import Timeline
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import DataError, SchemaError, did_you_mean

if TYPE_CHECKING:
    from shortlist.data.cleaning import CleaningReport

Int64Array = NDArray[np.int64]


class Dataset:
    """Interactions, users and items, and a schema that says what each column means.

    Args:
        interactions: one row an event, with the schema's columns; ids and times without nulls.
        schema: what the columns mean.
        users: one row a user, with the user id column; None where nothing is known of users.
        items: one row an item, with the item id column; its ids count as known items even when they never
            occur in the interactions.
        name: what to call the data in reports.
        past: the dataset whose events came before, for the test part of a split: its vocabularies are
            shared, and its events are the histories and the seen items.
        report: what was dropped when the tables were read.

    Raises:
        SchemaError: a column is missing or of the wrong kind.
        DataError: there is no event, or an id or a time is missing.
    """

    def __init__(
        self,
        interactions: pl.DataFrame,
        schema: Schema,
        *,
        users: pl.DataFrame | None = None,
        items: pl.DataFrame | None = None,
        name: str = "",
        past: Dataset | None = None,
        report: CleaningReport | None = None,
    ) -> None:
        schema.check(interactions)
        _check_complete(interactions, schema)
        for table, key, kind in ((users, schema.user_id, "users"), (items, schema.item_id, "items")):
            if table is not None and key not in table.columns:
                raise SchemaError(
                    f"column {key!r} is missing", where=f"the {kind} table", remedy="rename its id column"
                )
        self.interactions = interactions
        self.schema = schema
        self.users = users
        self.items = items
        self.name = name
        self.past = past
        self.report = report

    def __len__(self) -> int:
        """The number of events."""
        return len(self.interactions)

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name or 'unnamed'}: {len(self):,} events, "
            f"{len(self.user_vocabulary) - 1:,} users, {len(self.item_vocabulary) - 1:,} items)"
        )

    @cached_property
    def user_vocabulary(self) -> Vocabulary:
        """The user ids; those of `past` for a test part."""
        if self.past is not None:
            return self.past.user_vocabulary
        return _fit(self.interactions[self.schema.user_id], self.users)

    @cached_property
    def item_vocabulary(self) -> Vocabulary:
        """The item ids; those of `past` for a test part."""
        if self.past is not None:
            return self.past.item_vocabulary
        return _fit(self.interactions[self.schema.item_id], self.items)

    @cached_property
    def user_index(self) -> Int64Array:
        """`[events]` int64 user indices; 0 where the user is unknown."""
        return self.user_vocabulary.encode(self.interactions[self.schema.user_id])

    @cached_property
    def item_index(self) -> Int64Array:
        """`[events]` int64 item indices; 0 where the item is unknown."""
        return self.item_vocabulary.encode(self.interactions[self.schema.item_id])

    @cached_property
    def times(self) -> Int64Array | None:
        """`[events]` int64 seconds since 1970, or None where the schema has no timestamp."""
        if self.schema.timestamp is None:
            return None
        return epoch_seconds(self.interactions[self.schema.timestamp])

    @cached_property
    def labels(self) -> NDArray[np.float32] | None:
        """`[events]` float32 labels, 0 for negative events; None where every event is a plain positive."""
        negative = self._per_event(lambda kind: float(kind.negative))
        if self.schema.label is not None:
            labels = self.interactions[self.schema.label].cast(pl.Float32).to_numpy()
            return np.where(negative > 0, np.float32(0), labels)
        return (1 - negative).astype(np.float32) if negative.any() else None

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """`[events]` float32 weights of the events' types; 1 where there are none."""
        return self._per_event(lambda kind: kind.weight)

    @cached_property
    def is_label(self) -> NDArray[np.bool_]:
        """`[events]` bool, events that models learn from."""
        return self._per_event(lambda kind: float(kind.label or kind.negative)) > 0

    @cached_property
    def is_positive(self) -> NDArray[np.bool_]:
        """`[events]` bool, events that a retriever is to predict."""
        return self._per_event(lambda kind: float(kind.label and not kind.negative)) > 0

    @cached_property
    def is_history(self) -> NDArray[np.bool_]:
        """`[events]` bool, events that belong to histories."""
        return self._per_event(lambda kind: float(kind.history and not kind.negative)) > 0

    @cached_property
    def targets(self) -> Int64Array:
        """Rows of the positive events of known users or items: what `evaluate` asks for."""
        return np.flatnonzero(self.is_positive)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The items in the order of their index.

        Where times are known, a column `first_seen` says when each item had its first event (seconds since
        1970), unless the item table has a column of that name.
        """
        if self.past is not None:
            return self.past.catalogue
        items = aligned_items(self.items, self.item_vocabulary, key=self.schema.item_id)
        if self.times is not None and "first_seen" not in items.columns:
            items = items.with_columns(first_seen=_first_times(self.item_index, self.times, len(items)))
        return Catalogue(items, self.item_vocabulary)

    @cached_property
    def audience(self) -> Catalogue:
        """The users in the order of their index."""
        if self.past is not None:
            return self.past.audience
        users = aligned_items(self.users, self.user_vocabulary, key=self.schema.user_id)
        return Catalogue(users, self.user_vocabulary)

    @cached_property
    def people(self) -> Vocabulary:
        """The users with a history: `user_vocabulary`, then the users who are new in this test part."""
        if self.past is None:
            return self.user_vocabulary
        return self.user_vocabulary.extend(self.interactions[self.schema.user_id])

    @cached_property
    def person_index(self) -> Int64Array:
        """`[events]` int64 indices into `people`; new users of a test part have one, unlike `user_index`."""
        return self.people.encode(self.interactions[self.schema.user_id])

    @cached_property
    def timeline(self) -> Timeline:
        """Histories by person: the events of `past` and, where times are known, of this part."""
        parts = [self] if self.past is None else [self.past, self]
        if self.past is not None and self.times is None:
            parts = [self.past]  # without times, nothing in this part is known to come before the rest of it
        times = [part.times for part in parts if part.times is not None]
        items = np.concatenate([part.item_index for part in parts])
        return Timeline(
            np.concatenate([part.person_index for part in parts]),
            items,
            np.concatenate(times) if times else None,
            num_users=len(self.people),
            kept=np.concatenate([part.is_history for part in parts]) & (items > 0),
        )

    @cached_property
    def seen(self) -> Ragged:
        """For each person, the items of the events of `past`: what is not to be recommended again.

        A dataset that is no test part counts its own events.
        """
        source = self if self.past is None else self.past
        known = (source.person_index > 0) & (source.item_index > 0)
        people, items = source.person_index[known], source.item_index[known]
        counts = np.bincount(people, minlength=len(self.people))
        return Ragged.from_lengths(
            torch.from_numpy(items[np.argsort(people, kind="stable")]), torch.from_numpy(counts)
        )

    @cached_property
    def context(self) -> pl.DataFrame | None:
        """The columns of the interactions that the schema does not name, or None without any."""
        extra = [name for name in self.interactions.columns if name not in self.schema.columns]
        return self.interactions.select(extra) if extra else None

    def requests(
        self, rows: Int64Array | Tensor, *, length: int | None = None, context: bool = True
    ) -> Requests:
        """The questions that some events answer: who asked, when, and what they had done before.

        Args:
            rows: `[n]` row numbers of events.
            length: longest history; None for all of it.
            context: whether the requests carry the context columns.

        Returns:
            Requests whose histories end strictly before each event. Where times are unknown, a history is
            all the person's events in `past`, or, without a past, all but the event itself.
        """
        index = torch.as_tensor(rows)
        people = torch.from_numpy(self.person_index)[index]
        if self.times is None and self.past is not None:
            items, when = self.timeline.latest(people, length)
        else:
            positions = self.timeline.positions[index + (len(self.timeline.positions) - len(self))]
            items, when = self.timeline.before_position(people, positions, length)
        times = torch.zeros_like(people) if self.times is None else torch.from_numpy(self.times)[index]
        extra = self.context[index.numpy()] if context and self.context is not None else None
        return Requests(self._known(people), items, when, times, extra)

    def requests_of(self, people: Tensor, *, length: int | None = None, at: int | None = None) -> Requests:
        """Requests of some people after all that is known of them.

        Args:
            people: `[n]` int64 indices into `people`; 0 is somebody unknown, without a history.
            length: longest history; None for all of it.
            at: the moment in seconds; by default just after the last event of the data.
        """
        items, when = self.timeline.latest(people, length)
        now = torch.full_like(people, self.end if at is None else at)
        return Requests(self._known(people), items, when, now)

    def _known(self, people: Tensor) -> Tensor:
        return torch.where(people < len(self.user_vocabulary), people, 0)

    @cached_property
    def end(self) -> int:
        """The moment just after the last event, in seconds; 0 where times are unknown."""
        return 0 if self.times is None or len(self) == 0 else int(self.times.max()) + 1

    def split_by_time(self, test: float = 0.1) -> tuple[Dataset, Dataset]:
        """Hold out the latest events; no moment is divided.

        Args:
            test: share of the events.

        Returns:
            Train and test parts; the test part knows the train part's events and vocabularies.

        Raises:
            SchemaError: the schema has no timestamp.
            DataError: one part would be empty.
        """
        return self._divide(split.latest(self._needed_times("split_by_time"), test))

    def split_leave_last_out(self, count: int = 1) -> tuple[Dataset, Dataset]:
        """Hold out each user's last events.

        Args:
            count: positive events a user; users with no more than that stay whole in the train part.

        Returns:
            Train and test parts.

        Raises:
            SchemaError: the schema has no timestamp.
        """
        times = self._needed_times("split_leave_last_out")
        return self._divide(split.last_of_each(self.user_index, times, self.is_positive, count))

    def split_random(self, test: float = 0.2, *, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Hold out a random share of the events.

        Args:
            test: share of the events.
            seed: the same seed gives the same parts.

        Returns:
            Train and test parts.
        """
        return self._divide(split.random_share(len(self), test, seed))

    def split_at(self, test: NDArray[np.bool_]) -> tuple[Dataset, Dataset]:
        """Hold out the events that a mask names, for splits that a paper or a file prescribes.

        Args:
            test: `[events]` bool.

        Returns:
            Train and test parts.
        """
        return self._divide(test)

    def _divide(self, test: NDArray[np.bool_]) -> tuple[Dataset, Dataset]:
        if self.past is not None:
            raise DataError(
                "a test part cannot be split again", remedy="split the train part for a validation part"
            )
        if test.shape != (len(self),) or not test.any() or test.all():
            raise DataError(
                f"the split puts {int(test.sum())} of {len(self)} events into the test part",
                remedy="both parts need events: use more data or another share",
            )
        train = self._part(~test, "train")
        return train, self._part(test, "test", past=train)

    def _part(self, chosen: NDArray[np.bool_], part: str, past: Dataset | None = None) -> Dataset:
        rows = self.interactions.filter(pl.Series(chosen))
        name = f"{self.name} {part}".strip()
        return Dataset(
            rows, self.schema, users=self.users, items=self.items, name=name, past=past, report=self.report
        )

    def _needed_times(self, caller: str) -> Int64Array:
        if self.times is None:
            raise SchemaError(
                f"{caller} needs times, and the schema names no timestamp column",
                remedy="set Schema(timestamp=…) or use split_random",
            )
        return self.times

    def _per_event(self, value: Callable[[EventType], float]) -> NDArray[np.float32]:
        """One number an event, from the type of the event."""
        if self.schema.event is None:
            return np.full(len(self), value(EventType()), np.float32)
        types = self.interactions[self.schema.event].cast(pl.String)
        kinds = {name: self._event_type(name) for name in types.unique().drop_nulls()}
        numbers = [value(kind) for kind in kinds.values()]
        return types.replace_strict(list(kinds), numbers, return_dtype=pl.Float32).to_numpy()

    def _event_type(self, name: str) -> EventType:
        if not self.schema.events:
            return EventType()
        if name not in self.schema.events:
            raise SchemaError(
                f"event type {name!r} is not in the schema",
                where=f"column {self.schema.event!r}",
                remedy=did_you_mean(name, self.schema.events),
            )
        return self.schema.events[name]


def epoch_seconds(times: pl.Series) -> Int64Array:
    """Times as whole seconds since 1970.

    Args:
        times: a Datetime or Date column, or an integer column of seconds.

    Raises:
        SchemaError: the column is neither.
    """
    if times.dtype.is_temporal() and times.dtype != pl.Time:
        return times.cast(pl.Datetime("us")).dt.epoch("s").to_numpy()
    if times.dtype.is_integer():
        return times.cast(pl.Int64).to_numpy()
    raise SchemaError(
        f"times must be dates or whole seconds since 1970, got {times.dtype}",
        where=f"column {times.name!r}",
        remedy="read the table with shortlist.datasets, which parses times",
    )


def _first_times(indices: Int64Array, times: Int64Array, size: int) -> pl.Series:
    """The earliest time of each index, null without any; index 0 is nothing's."""
    never = np.iinfo(np.int64).max
    earliest = np.full(size, never)
    np.minimum.at(earliest, indices, times)
    earliest[0] = never
    return pl.Series(earliest).set(pl.Series(earliest == never), None)


def _fit(ids: pl.Series, table: pl.DataFrame | None) -> Vocabulary:
    return Vocabulary.fit(ids, extra=None if table is None else table[ids.name])


def _check_complete(interactions: pl.DataFrame, schema: Schema) -> None:
    if len(interactions) == 0:
        raise DataError(
            "there is no event", where="the interactions", remedy="check the file and its filters"
        )
    for name in schema.columns:
        missing = interactions[name].null_count()
        if missing:
            raise DataError(
                f"{missing} of {len(interactions)} values of column {name!r} are missing",
                where="the interactions",
                remedy="read the table with shortlist.datasets, which counts and drops such rows",
            )
