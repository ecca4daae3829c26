"""Which column is which, by name and type: what `shortlist init` starts from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import polars as pl

from shortlist.data.schema import Schema
from shortlist.data.times import parse_times
from shortlist.errors import SchemaError, did_you_mean

# Names without case and punctuation, the likeliest first.
USER_NAMES = (
    "userid", "user", "uid", "userno", "customerid", "customer", "clientid", "client", "visitorid",
    "visitor", "memberid", "member", "accountid", "account", "reviewerid", "personid", "sessionid",
    "session",
)  # fmt: skip
ITEM_NAMES = (
    "itemid", "item", "iid", "productid", "product", "sku", "asin", "parentasin", "movieid", "movie",
    "filmid", "film", "trackid", "track", "songid", "song", "artistid", "artist", "bookid", "book", "isbn",
    "articleid", "article", "newsid", "news", "videoid", "video", "businessid", "business", "locationid",
    "poi", "contentid", "content", "gameid", "game", "recipeid", "recipe",
)  # fmt: skip
TIME_NAMES = (
    "timestamp", "ts", "time", "datetime", "eventtime", "eventtimestamp", "unixtime", "unixreviewtime",
    "createdat", "updatedat", "ratedat", "occurredat", "visitdate", "purchasedate", "orderdate", "date",
    "t",
)  # fmt: skip
LABEL_NAMES = (
    "rating", "score", "stars", "label", "overall", "preference", "ratingvalue", "value",
)  # fmt: skip
EVENT_NAMES = (
    "event", "eventtype", "type", "action", "actiontype", "behavior", "behaviour", "behaviortype",
    "interaction",
)  # fmt: skip


def guess_schema(frame: pl.DataFrame, *, user_id: str | None = None, item_id: str | None = None) -> Schema:
    """Guess what the columns of a table of interactions mean.

    Args:
        frame: the table, or its first rows.
        user_id: the column of user ids, where it is known.
        item_id: the column of item ids, where it is known.

    Returns:
        A schema with the user and item columns and, where the table has likely ones, the time, the label
        and the event type; `events` stays empty, so that all types count alike.

    Raises:
        SchemaError: no column looks like the users' or the items' ids, or a known one is missing.
    """
    known = [name for name in (user_id, item_id) if name is not None]
    for name in known:
        if name not in frame.columns:
            raise SchemaError(
                f"column {name!r} is missing",
                where="the interactions",
                remedy=did_you_mean(name, frame.columns),
            )
    rest = frame.drop(known)
    user = user_id or _find(rest, USER_NAMES, _can_be_ids, endings=("userid", "customerid"))
    others = rest.drop(user) if user in rest.columns else rest
    item = item_id or _find(others, ITEM_NAMES, _can_be_ids, endings=("itemid", "productid"))
    if user is None or item is None:
        what, argument = ("users", "user_id") if user is None else ("items", "item_id")
        raise SchemaError(
            f"no column looks like the ids of the {what}: {', '.join(map(repr, frame.columns))}",
            where="the interactions",
            remedy=f"name it: Schema({argument}=…)",
        )
    return Schema(
        user_id=user,
        item_id=item,
        timestamp=_find(others, TIME_NAMES, _can_be_times, endings=("timestamp",)),
        label=_find(others, LABEL_NAMES, lambda column: column.dtype.is_numeric()),
        event=_find(others, EVENT_NAMES, _can_be_types, endings=("eventtype",)),
    )


def _find(
    frame: pl.DataFrame,
    names: Sequence[str],
    fits: Callable[[pl.Series], bool],
    *,
    endings: tuple[str, ...] = (),
) -> str | None:
    plain = {column: re.sub(r"[^a-z0-9]", "", column.lower()) for column in frame.columns}
    fitting = [column for column in frame.columns if fits(frame[column])]
    exact = [column for name in names for column in fitting if plain[column] == name]
    near = [column for column in fitting if plain[column].endswith(endings)] if endings else []
    return next(iter(exact + near), None)


def _can_be_ids(column: pl.Series) -> bool:
    return column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical, pl.Enum)


def _can_be_times(column: pl.Series) -> bool:
    if column.dtype == pl.String:
        return bool(parse_times(column)[0].is_not_null().any())
    return column.dtype.is_numeric() or column.dtype in (pl.Date, pl.Datetime)


def _can_be_types(column: pl.Series) -> bool:
    return column.dtype in (pl.String, pl.Categorical, pl.Enum)
