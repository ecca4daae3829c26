"""What `shortlist init` found in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shortlist.data import Feature, Schema


@dataclass(frozen=True)
class Findings:
    """What was found in the tables.

    Args:
        interactions: paths as the file is to hold them.
        users: likewise, or none.
        items: likewise, or none.
        schema: the columns.
        event_types: the types of events that occur, the most frequent first.
        query: features of the users, the id and the history first.
        candidate: features of the items, the id first.
        num_events: how many.
        num_items: how many.
    """

    interactions: Sequence[str]
    users: Sequence[str]
    items: Sequence[str]
    schema: Schema
    event_types: Sequence[str]
    query: Sequence[Feature]
    candidate: Sequence[Feature]
    num_events: int
    num_items: int
