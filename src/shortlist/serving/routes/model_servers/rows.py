"""Rows of named values, as model servers take them, answered as requests for recommendations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shortlist.errors import UnknownIdError
from shortlist.serving.refusal import Refusal, wrong_value
from shortlist.serving.schemas.api import Recommended, RecommendRequest
from shortlist.serving.service import Service

AT_ONCE = 8  # rows of one request that wait at a time, so that it does not fill the queue
USER = "input_1"  # what Keras calls the input of a query model that has one
OWN = frozenset({"user", "history", "at", "k", "exclude", "exclude_seen", "where", "context"})


def check_name(service: Service, name: str) -> None:
    """Refuse a model that is not the server's.

    Raises:
        UnknownIdError: it has another name.
    """
    known = service.settings.model_name
    if name != known:
        raise UnknownIdError(
            f"there is no model {name!r:.80}", where="the path", remedy=f"this server's model is {known!r}"
        )


def to_request(row: Any, *, user: str, where: str) -> RecommendRequest:
    """A row as a request.

    Args:
        row: a user's id, or values by name. Names that no request has are of the context, as the features of
            a query tower are.
        user: the column of user ids in the schema, which names the user too.
        where: the row, for messages.

    Raises:
        Refusal: a value is not as it must be.
    """
    named = row if isinstance(row, dict) else {"user": row}
    fields: dict[str, Any] = {}
    context = {}
    for name, value in named.items():
        if name in ("user", USER, user):
            fields["user"] = single(value)
        elif name in OWN:
            fields[name] = value if name in ("history", "exclude", "context") else single(value)
        else:
            context[name] = single(value)
    if isinstance(given := fields.get("context", {}), dict):
        fields["context"] = context | given
    try:
        return msgspec.convert(fields, RecommendRequest)
    except msgspec.ValidationError as error:
        raise wrong_value(error, where) from error


def single(value: Any) -> Any:
    """The value of a list of one, which is how a column of a batch comes; anything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def transposed(columns: Mapping[str, Sequence[Any]], where: str) -> list[dict[str, Any]]:
    """Columns as rows.

    Args:
        columns: of one length.
        where: the columns, for messages.

    Raises:
        Refusal: the columns have different lengths.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise Refusal(400, f"the columns have different lengths: {lengths}"[:300], where=where)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


async def answers(service: Service, rows: Sequence[Any], where: str) -> list[Recommended]:
    """The lists of some rows.

    Args:
        service: that answers.
        rows: one a user.
        where: the rows, for messages.

    Raises:
        Error: a row is wrong.
        Refusal: the server is busy.
    """
    user = service.shelf.engine.funnel.data.schema.user_id
    requests = [to_request(row, user=user, where=f"{where}[{number}]") for number, row in enumerate(rows)]
    found: list[Recommended] = []
    for start in range(0, len(requests), AT_ONCE):
        found += await asyncio.gather(*map(service.recommend, requests[start : start + AT_ONCE]))
    return found
