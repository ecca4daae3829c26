"""What an operation of the server is: its place, what it takes and gives, and who may ask for it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import Struct

from shortlist.serving.refusal import Refusal
from shortlist.serving.schemas.api import ID_PATTERN
from shortlist.serving.service import Service

BodyT = TypeVar("BodyT")
ID = re.compile(ID_PATTERN)


@dataclass(frozen=True)
class Call(Generic[BodyT]):
    """One request, decoded.

    Args:
        body: of the operation's type.
        path: parameters of the path.
        query: of the operation's type, or None.
        request_id: names it in logs and answers.
    """

    body: BodyT
    path: dict[str, str]
    query: Any
    request_id: str

    @property
    def id(self) -> str:
        """The id in the path, of a user or an item.

        Raises:
            Refusal: no id is as long as this, or holds control characters.
        """
        id_ = self.path["id"]
        if not ID.match(id_):
            raise Refusal(
                400, "the id is too long, or holds control characters", where="the path", remedy="check it"
            )
        return id_


@dataclass(frozen=True)
class Text:
    """An answer that is no JSON.

    Args:
        content: its bytes.
        media_type: what they are.
        policy: what a page may do beyond nothing, as directives of a content security policy.
    """

    content: bytes
    media_type: str
    policy: str = ""


@dataclass(frozen=True)
class Operation:
    """One thing that a client can ask for.

    Args:
        name: a short one, for metrics and the OpenAPI description.
        method: such as `"POST"`.
        path: such as `"/v1/items/{id}"`.
        summary: one line.
        answer: what it gives; `Text` for what is no JSON.
        handle: does it.
        scope: that a key must have; `""` for any key, None for nobody's need.
        body: what it takes, or None.
        query: what its query string holds, or None.
        audited: whether it changes what others get.
        foreign: whether it speaks the protocol of another server: an error is one text, and a program may
            leave out the type of its body.
    """

    name: str
    method: str
    path: str
    summary: str
    answer: type
    handle: Callable[[Service, Call[Any]], Awaitable[Struct | Text]]
    scope: str | None
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    audited: bool = False
    foreign: bool = False
