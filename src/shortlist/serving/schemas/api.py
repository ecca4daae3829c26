"""What requests and answers look like; anything else is refused before it is looked at."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from shortlist.errors import Error

MAX_ITEMS = 1000  # of one list
MAX_EVENTS = 1000  # of one request

ID_PATTERN = r"^[^\x00-\x1f\x7f]{1,200}$"

Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=ID_PATTERN)]
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Id = Text | Number
Count = Annotated[int, Meta(ge=1, le=MAX_ITEMS)]
Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799, description="seconds since 1970, in UTC")]
Ids = Annotated[list[Id], Meta(max_length=MAX_ITEMS)]
Scalar = str | int | float | bool | None
Condition = Annotated[
    str, Meta(min_length=1, max_length=1000, description="SQL over the item columns, such as 'year > 1990'")
]
PostRankers = Annotated[list[dict[str, Any]], Meta(max_length=10)]
Columns = dict[str, Any]


class Asking(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Who asks, and after what."""

    user: Annotated[Id | None, Meta(description="an unknown user is answered without a history")] = None
    history: Annotated[Ids, Meta(description="items of this session, oldest first, after what is known")] = []
    at: Annotated[Seconds | None, Meta(description="the moment; just after the last known event")] = None
    context: Annotated[dict[str, Scalar], Meta(max_length=50, description="such as the device")] = {}


class RecommendRequest(Asking, kw_only=True, frozen=True):
    """What is to be recommended, and to whom."""

    k: Annotated[Count | None, Meta(description="how many items; the funnel's own number by default")] = None
    exclude: Annotated[Ids, Meta(description="items that must not come")] = []
    exclude_seen: Annotated[bool, Meta(description="leave out what the user had an event with")] = True
    where: Condition | None = None
    postrank: Annotated[
        PostRankers | None,
        Meta(description="these post-rankers in place of the funnel's; its rules stay"),
    ] = None
    fields: Annotated[list[str], Meta(max_length=50, description="item columns to answer with")] = []
    explain: Annotated[bool, Meta(description="say why, and show the list after every stage")] = False
    shown: Annotated[
        bool, Meta(description="whether the user will see the list; if not, no experiment counts it")
    ] = True


class Stage(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """A list after one stage, best first."""

    name: str
    items: list[Id]
    scores: list[float]
    found_by: list[str]
    features: Annotated[
        dict[str, list[float | None]], Meta(description="numbers that the stage adds, such as each score")
    ] = {}
    settings: Annotated[dict[str, Any], Meta(description="what decides at the stage")] = {}
    columns: Annotated[
        dict[str, list[Any]],
        Meta(description="the `fields` of the first stage's items, among which are all later ones"),
    ] = {}


class Recommended(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """A list, best first; all columns are as long as `items`."""

    items: list[Id]
    scores: list[float]
    bundle: Annotated[str, Meta(description="which bundle answered")]
    columns: dict[str, list[Any]] = {}
    why: list[str] | None = None
    stages: list[Stage] | None = None
    cut: Annotated[list[str], Meta(description="stages that were left out for lack of time")] = []
    fallback: Annotated[bool, Meta(description="no stage had the time: the most popular items")] = False
    experiment: Annotated[str, Meta(description="that the user takes part in")] = ""
    arm: Annotated[str, Meta(description="of the experiment, whose funnel answered")] = ""
    exposure: Annotated[
        str, Meta(description="id of the note that this list was shown; events may name it in their context")
    ] = ""


class RankRequest(Asking, kw_only=True, frozen=True):
    """Items to be put in order for somebody."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=MAX_ITEMS)]


class Ranked(Struct, kw_only=True, frozen=True):
    """The known ones of the items, best first."""

    items: list[Id]
    scores: list[float]
    unknown: list[Id]
    bundle: str


class SimilarQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """How many neighbours."""

    k: Count = 12


class Similar(Struct, kw_only=True, frozen=True):
    """The nearest items, nearest first."""

    items: list[Id]
    scores: list[float]
    bundle: str


class SentEvent(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Something that a user did with an item."""

    id: Annotated[Text, Meta(description="the same id twice is the same event")]
    user: Id
    item: Id
    time: Annotated[Seconds | None, Meta(description="when; now by default")] = None
    type: Annotated[Text | None, Meta(description="as the bundle's schema names them")] = None
    context: Annotated[dict[str, Scalar], Meta(max_length=50)] = {}


class EventsRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """Some events, in order."""

    events: Annotated[list[SentEvent], Meta(min_length=1, max_length=MAX_EVENTS)]


class EventsKept(Struct, frozen=True):
    """All events are on the disk."""

    kept: Annotated[int, Meta(description="how many were sent")]
    new: Annotated[int, Meta(description="how many had not been sent before")]


class ItemRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """What is known of an item."""

    columns: Annotated[Columns, Meta(max_length=1000)]


class ItemChanged(Struct, frozen=True):
    """The item is kept, and takes part from the version on, within a second."""

    id: Id
    version: int


class UserRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """What is known of a user; it joins the context of the user's requests."""

    features: Annotated[dict[str, Scalar], Meta(max_length=50)]


class KeptEvent(Struct, frozen=True):
    """An event as it is kept."""

    id: str
    item: str
    time: int
    type: str | None
    context: Columns


class KeptExposure(Struct, frozen=True):
    """A list of an experiment as it is kept."""

    id: str
    time: int
    experiment: str
    arm: str
    items: list[str]
    shown: bool


class User(Struct, frozen=True):
    """All that the store keeps of a user; what the bundle learned from stays in it until it is replaced."""

    user: str
    features: Columns
    events: list[KeptEvent]
    exposures: list[KeptExposure] = []


class UserKept(Struct, frozen=True):
    """The features are on the disk."""

    user: str


class UserErased(Struct, frozen=True):
    """The user is forgotten."""

    user: str
    events: Annotated[int, Meta(description="how many events were erased")]


class BundleRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """Which bundle to answer from: one below the server's folder of bundles, or the one before."""

    path: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    rollback: bool = False


class Bundles(Struct, frozen=True):
    """The bundle in use, and the one that a rollback brings back."""

    current: str
    path: str
    previous: str | None


class Health(Struct, frozen=True):
    """How the server is."""

    status: str


class Problem(Struct, omit_defaults=True, frozen=True):
    """What was wrong, where, and what to do."""

    what: str
    where: str = ""
    remedy: str = ""

    @property
    def text(self) -> str:
        """The three as one text."""
        return str(Error(self.what, where=self.where, remedy=self.remedy))


class Failure(Struct, frozen=True):
    """The answer to a request that could not be met."""

    error: Problem
    request_id: str
