"""Three tables and what their columns mean; ids encoded once, splits that share vocabularies."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data import split
from shortlist.data.catalogue import Catalogue, aligned_items, first_times
from shortlist.data.cleaning import CleaningReport
from shortlist.data.events import are_history, are_labels, are_positive, labels, per_event
from shortlist.data.histories import requests_after, requests_before, seen_items, timeline_of
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.data.schema import Schema
from shortlist.data.timeline import Timeline
from shortlist.data.times import epoch_seconds
from shortlist.data.vocabulary import Vocabulary, fit_ids

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
        schema.check_tables(interactions, users, items)
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
        return fit_ids(self.interactions[self.schema.user_id], self.users)

    @cached_property
    def item_vocabulary(self) -> Vocabulary:
        """The item ids; those of `past` for a test part."""
        if self.past is not None:
            return self.past.item_vocabulary
        return fit_ids(self.interactions[self.schema.item_id], self.items)

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
        return labels(self.interactions, self.schema)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """`[events]` float32 weights of the events' types; 1 where there are none."""
        return per_event(self.interactions, self.schema, lambda kind: kind.weight)

    @cached_property
    def is_label(self) -> NDArray[np.bool_]:
        """`[events]` bool, events that models learn from."""
        return are_labels(self.interactions, self.schema)

    @cached_property
    def is_positive(self) -> NDArray[np.bool_]:
        """`[events]` bool, events that a retriever is to predict."""
        return are_positive(self.interactions, self.schema)

    @cached_property
    def is_history(self) -> NDArray[np.bool_]:
        """`[events]` bool, events that belong to histories."""
        return are_history(self.interactions, self.schema)

    @cached_property
    def targets(self) -> Int64Array:
        """`[n]` int64 rows of the positive events, unknown items included: what `evaluate` asks for."""
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
            items = items.with_columns(first_seen=first_times(self.item_index, self.times, len(items)))
        return Catalogue(items, self.item_vocabulary)

    @cached_property
    def audience(self) -> Catalogue:
        """The users in the order of their index."""
        if self.past is not None:
            return self.past.audience
        vocabulary = self.user_vocabulary
        return Catalogue(aligned_items(self.users, vocabulary, key=self.schema.user_id), vocabulary)

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
        return timeline_of(self)

    @cached_property
    def seen(self) -> Ragged:
        """For each person, the items of the events of `past`: what is not to be recommended again.

        A dataset that is no test part counts its own events.
        """
        return seen_items(self)

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
        return requests_before(self, rows, length=length, context=context)

    def requests_of(self, people: Tensor, *, length: int | None = None, at: int | None = None) -> Requests:
        """Requests of some people after all that is known of them.

        Args:
            people: `[n]` int64 indices into `people`; 0 is somebody unknown, without a history.
            length: longest history; None for all of it.
            at: the moment in seconds; by default just after the last event of the data.
        """
        return requests_after(self, people, length=length, at=at)

    @cached_property
    def end(self) -> int:
        """The moment just after the last event, in seconds; 0 where times are unknown."""
        return 0 if self.times is None else int(self.times.max()) + 1

    def with_interactions(self, interactions: pl.DataFrame) -> Dataset:
        """Other events with the vocabularies and tables of this dataset, but without its events.

        Args:
            interactions: one row an event, with the schema's columns.

        Returns:
            A dataset whose indices mean the same ids as here; new ids are unknown, and new users still have
            their histories.
        """
        other = Dataset(interactions, self.schema, users=self.users, items=self.items, name=self.name)
        other.user_vocabulary, other.item_vocabulary = self.user_vocabulary, self.item_vocabulary
        other.catalogue, other.audience = self.catalogue, self.audience
        other.people = self.user_vocabulary.extend(interactions[self.schema.user_id])
        return other

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
        return split.divide(self, split.latest(split.needed(self.times, "split_by_time"), test))

    def split_leave_last_out(self, count: int = 1) -> tuple[Dataset, Dataset]:
        """Hold out each user's last events.

        Args:
            count: positive events a user; users with no more than that stay whole in the train part.

        Returns:
            Train and test parts.

        Raises:
            SchemaError: the schema has no timestamp.
            ConfigError: the count is less than 1.
            DataError: no user has more than `count` positive events.
        """
        times = split.needed(self.times, "split_leave_last_out")
        return split.divide(self, split.last_of_each(self.user_index, times, self.is_positive, count))

    def split_random(self, test: float = 0.2, *, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Hold out a random share of the events.

        Args:
            test: share of the events.
            seed: the same seed gives the same parts.

        Returns:
            Train and test parts.

        Raises:
            ConfigError: the share is not between 0 and 1.
            DataError: one part would be empty.
        """
        return split.divide(self, split.random_share(len(self), test, seed))

    def split_at(self, test: NDArray[np.bool_]) -> tuple[Dataset, Dataset]:
        """Hold out the events that a mask names, for splits that a paper or a file prescribes.

        Args:
            test: `[events]` bool.

        Returns:
            Train and test parts.

        Raises:
            ShapeError: the mask is not `[events]` bool.
            DataError: one part would be empty.
        """
        return split.divide(self, test)
