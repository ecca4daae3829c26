"""Events as they happen."""

from __future__ import annotations

import time

from shortlist.data.schema import Schema
from shortlist.errors import did_you_mean
from shortlist.serving.operations import Call, Operation
from shortlist.serving.refusal import Refusal
from shortlist.serving.schemas.api import EventsKept, EventsRequest, SentEvent
from shortlist.serving.service import Service
from shortlist.serving.stores import Event

CLOCK_SECONDS = 300  # that a client's clock may be ahead


async def keep(service: Service, call: Call[EventsRequest]) -> EventsKept:
    """Keep events; the answer comes when they are on the disk."""
    now, schema = int(time.time()), service.shelf.engine.funnel.data.schema
    sent = [_event(each, number, now, schema) for number, each in enumerate(call.body.events)]
    return EventsKept(kept=len(sent), new=await service.keep(sent))


def _event(sent: SentEvent, number: int, now: int, schema: Schema) -> Event:
    where = f"events[{number}]"
    if sent.time is not None and sent.time > now + CLOCK_SECONDS:
        raise Refusal(
            400, f"the time {sent.time} is to come", where=where, remedy="send seconds since 1970, in UTC"
        )
    if schema.events and sent.type not in schema.events:
        raise Refusal(
            400,
            f"the event type {sent.type!r} is not in the schema",
            where=where,
            remedy=did_you_mean(str(sent.type), schema.events),
        )
    moment = now if sent.time is None else sent.time
    return Event(sent.id, str(sent.user), str(sent.item), moment, sent.type, dict(sent.context))


OPERATIONS = (
    Operation(
        "events",
        "POST",
        "/v1/events",
        "Keep events, each once; answered when they are on the disk",
        EventsKept,
        keep,
        "events",
        body=EventsRequest,
    ),
)
