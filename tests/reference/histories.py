"""Histories, seen items and splits, one event at a time: what `shortlist.data` must agree with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Event(NamedTuple):
    """One event; `remembered` says whether its type belongs to histories."""

    user: int
    item: int
    time: int
    remembered: bool = True


def before_event(events: Sequence[Event], row: int, length: int | None) -> list[int]:
    """What the user of an event did before it: earlier times, and earlier rows of the same moment."""
    target = events[row]
    earlier = [
        (event.time, place, event.item)
        for place, event in enumerate(events)
        if event.user == target.user and event.remembered and (event.time, place) < (target.time, row)
    ]
    return _last([item for _, _, item in sorted(earlier)], length)


def before_moment(events: Sequence[Event], user: int, moment: int, length: int | None) -> list[int]:
    """What a user did strictly before a moment."""
    known = sorted(
        (event.time, place, event.item)
        for place, event in enumerate(events)
        if event.user == user and event.remembered and event.time < moment
    )
    return _last([item for _, _, item in known], length)


def other_events(events: Sequence[Event], row: int, length: int | None) -> list[int]:
    """All that the user of an event did, but the event itself, in the order of the rows."""
    others = [
        event.item
        for place, event in enumerate(events)
        if place != row and event.user == events[row].user and event.remembered
    ]
    return _last(others, length)


def last_of_each(events: Sequence[Event], eligible: Sequence[bool], count: int) -> list[bool]:
    """Which events a leave-last-out split holds out."""
    held = [False] * len(events)
    for user in {event.user for event in events}:
        places = [place for place, event in enumerate(events) if event.user == user]
        ordered = sorted(places, key=lambda place: (events[place].time, place))
        candidates = [place for place in ordered if eligible[place]]
        if len(candidates) > count:
            first = ordered.index(candidates[-count])
            for place in ordered[first:]:
                held[place] = True
    return held


def _last(items: list[int], length: int | None) -> list[int]:
    return items if length is None else items[max(len(items) - length, 0) :]
