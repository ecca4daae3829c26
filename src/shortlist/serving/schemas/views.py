"""What can be looked at: a funnel's parts, items, users and what they did, the bundles that lie ready."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from shortlist.serving.schemas.api import Bundles, Columns, Count, Id, Text

Search = Annotated[
    str, Meta(max_length=200, description="part of an id or a title, in any case; all by default")
]
Kind = Literal["text", "tags", "number", "time", "flag", "other"]


class RetrieverView(Struct, frozen=True):
    """A retriever."""

    name: str
    model: str
    k: Annotated[int, Meta(description="how many items it finds")]


class RankerView(Struct, frozen=True):
    """A ranker."""

    model: str
    keep: Annotated[int, Meta(description="how many items it lets through")]


class FunnelView(Struct, frozen=True):
    """The funnel that answers, and the columns of its items."""

    bundle: str
    items: int
    users: int
    events: int
    size: Annotated[int, Meta(description="length of a list by default")]
    retrieve: list[RetrieverView]
    rank: RankerView | None
    postrank: Annotated[list[dict[str, Any]], Meta(description="as a request's `postrank` takes them")]
    title: Annotated[str | None, Meta(description="the column that items are called by")]
    columns: Annotated[dict[str, Kind], Meta(description="of the item table, without the id")]
    vectors: Annotated[bool, Meta(description="whether items have vectors that Diversity can compare")]


class FunnelQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """Whose funnel: in an experiment, users have different ones."""

    user: Annotated[Text | None, Meta(description="the server's own funnel by default")] = None


class SearchQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """What is looked for."""

    search: Search = ""
    k: Count = 20


class FoundItems(Struct, frozen=True):
    """Items by the number of their events, most first; an item of just this id before all others."""

    items: list[Id]
    titles: list[str]


class ItemView(Struct, frozen=True):
    """An item as the funnel knows it."""

    id: Id
    title: str
    columns: Columns
    events: Annotated[int, Meta(description="that the bundle counts")]
    removed: Annotated[bool, Meta(description="whether it is recommended no more")]


class FoundUsers(Struct, frozen=True):
    """Users of the bundle by the number of their events, most first; a user of just this id before all."""

    users: list[Id]
    events: list[int]


class HistoryQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """How many events."""

    k: Annotated[Count, Meta(description="the latest ones")] = 200


class HistoryView(Struct, frozen=True):
    """What the next list for a user follows from, oldest first; all columns are as long as `items`."""

    user: str
    known: Annotated[bool, Meta(description="whether the bundle or the store knows the user")]
    items: list[Id]
    titles: list[str]
    times: Annotated[list[int], Meta(description="seconds since 1970; 0 where unknown")]
    live: Annotated[list[bool], Meta(description="whether the event came after the bundle was trained")]
    events: Annotated[int, Meta(description="how many there are, of which these are the latest")]
    also_seen: Annotated[list[Id], Meta(description="items that are left out and are no part of the history")]


class StoredBundle(Struct, frozen=True):
    """A bundle that lies in the server's folder; it is verified when it is to answer."""

    name: str
    path: Annotated[str, Meta(description="as POST /v1/bundles takes it")]
    written: Annotated[int, Meta(description="seconds since 1970")]
    metrics: Annotated[dict[str, float], Meta(description="measured at training")]


class BundlesView(Bundles, frozen=True):
    """The bundle in use, the one that a rollback brings back, and those that lie ready, newest first."""

    available: list[StoredBundle]
