"""What a batch of users did: the bundle's events, then the store's, then the session's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import polars as pl
import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.data.schema import EventType
from shortlist.serving.schemas.api import Asking
from shortlist.serving.stores import Event

Ids = Sequence[str | int]


@dataclass(frozen=True)
class Past:
    """What the store knows of the users of a batch.

    Args:
        events: the latest events by user, oldest first.
        features: values by name, by user.
    """

    events: Mapping[str, Sequence[Event]] = field(default_factory=dict)
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Asked:
    """A batch in index space.

    Args:
        requests: who asks.
        seen: for each request, the items that the user had an event with.
    """

    requests: Requests
    seen: Ragged

    def take(self, places: Sequence[int]) -> Asked:
        """Some of the batch.

        Args:
            places: of the requests, ascending.
        """
        if len(places) == len(self.requests):
            return self
        rows = torch.tensor(places)
        return Asked(self.requests.take(rows), self.seen.take(rows))


def ask(data: Dataset, asking: Sequence[Asking], past: Past) -> Asked:
    """Join what is known of the users of a batch.

    Args:
        data: of the funnel.
        asking: who asks.
        past: what the store knows; events that are as old as the data are taken to be in it already, and so
            count as seen, but not for the history.
    """
    users = [None if each.user is None else str(each.user) for each in asking]
    people = torch.from_numpy(data.people.encode_texts(users))
    plain, seen = data.requests_of(people), data.seen.take(people)
    live = [past.events.get(user, ()) if user is not None else () for user in users]
    context = _context(asking, users, past.features)
    if not any(live) and not any(each.history for each in asking):  # as most often
        times = _moments(asking, live, plain.times, data.end)
        return Asked(replace(plain, times=times, context=context), seen)
    kinds, end = data.schema.events, data.end
    later = [[event for event in events if event.time >= end] for events in live]
    kept = [[event for event in events if _in_histories(kinds, event)] for events in later]
    known = _encode(data, [[event.item for event in events] for events in kept])
    known_times = Ragged.from_lists([[event.time for event in events] for events in kept])
    session = _encode(data, [each.history for each in asking])
    times = _moments(asking, later, plain.times, end)
    session_times = Ragged(times[session.row_ids()], session.offsets)
    history, when = (
        joined(plain.history, known, session),
        joined(plain.history_times, known_times, session_times),
    )
    there = history.values > 0  # the catalogue may not know an item yet
    if not bool(there.all()):
        history, when = _keep(history, there), _keep(when, there)
    requests = Requests(plain.users, history, when, times, context)
    stored = _encode(data, [[event.item for event in events] for events in live])
    return Asked(requests, joined(seen, stored, session))


def joined(*parts: Ragged) -> Ragged:
    """Row by row, one part's values after the other's."""
    some = [part for part in parts if len(part.values)]
    if len(some) <= 1:
        return some[0] if some else parts[0]
    rows = torch.cat([part.row_ids() for part in some])
    order = torch.argsort(rows, stable=True)
    lengths = torch.stack([part.lengths for part in some]).sum(0)
    return Ragged.from_lengths(torch.cat([part.values for part in some])[order], lengths)


def encode_lists(data: Dataset, lists: Sequence[Ids]) -> Ragged:
    """Lists of item ids as indices, 0 where an id is unknown."""
    return _encode(data, lists)


def _encode(data: Dataset, lists: Sequence[Ids]) -> Ragged:
    flat = [str(each) for each in chain.from_iterable(lists)]
    if not flat:  # as most often
        return Ragged.empty(len(lists))
    lengths = torch.tensor([len(each) for each in lists], dtype=torch.int64)
    indices = data.item_vocabulary.encode_texts(flat)
    return Ragged.from_lengths(torch.from_numpy(indices), lengths)


def _keep(rows: Ragged, kept: Tensor) -> Ragged:
    lengths = torch.zeros(len(rows), dtype=torch.int64).index_add_(0, rows.row_ids(), kept.long())
    return Ragged.from_lengths(rows.values[kept], lengths)


def _in_histories(kinds: Mapping[str, EventType], event: Event) -> bool:
    kind = kinds.get(event.type or "") if kinds else None
    return kind is None or (kind.history and not kind.negative)


def _moments(asking: Sequence[Asking], later: Sequence[Sequence[Event]], times: Tensor, end: int) -> Tensor:
    """When each request is asked: as it says, or just after the last event that is known."""
    if end == 0 or not (any(later) or any(each.at is not None for each in asking)):
        return times
    moments = [
        each.at if each.at is not None else (events[-1].time + 1 if events else end)
        for each, events in zip(asking, later, strict=True)
    ]
    return torch.tensor(moments, dtype=torch.int64)


def _context(
    asking: Sequence[Asking], users: Sequence[str | None], features: Mapping[str, Mapping[str, Any]]
) -> pl.DataFrame | None:
    rows = [
        {**features.get(user or "", {}), **each.context} for each, user in zip(asking, users, strict=True)
    ]
    names = dict.fromkeys(chain.from_iterable(rows))
    if not names:
        return None
    return pl.DataFrame({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pl.Series:
    """Values of one name; text where clients do not agree on a type."""
    try:
        return pl.Series(values=values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(values=[None if value is None else str(value) for value in values])
