"""How the server is, and how to use it."""

from __future__ import annotations

from shortlist.serving.operations import Call, Operation, Text
from shortlist.serving.refusal import Refusal
from shortlist.serving.schemas.api import Health
from shortlist.serving.service import Service


async def alive(service: Service, call: Call[None]) -> Health:
    """The process answers."""
    return Health("alive")


async def ready(service: Service, call: Call[None]) -> Health:
    """The server takes requests: it is not stopping, and its store answers."""
    if service.draining:
        raise Refusal(503, "the server is stopping", retry_after=1)
    await service.do(service.store.check)
    return Health("ready")


async def metrics(service: Service, call: Call[None]) -> Text:
    """Counters and times, for Prometheus."""
    content = service.telemetry.text(service.shelf.bundles.current)
    return Text(content, "text/plain; version=0.0.4; charset=utf-8")


async def openapi(service: Service, call: Call[None]) -> Text:
    """The description of all operations."""
    from shortlist.serving.routes.openapi import described  # it knows all routes, this one too

    return Text(described(), "application/json")


async def docs(service: Service, call: Call[None]) -> Text:
    """The same as a page."""
    from shortlist.serving.routes.openapi import page

    return page()


OPERATIONS = (
    Operation("healthz", "GET", "/healthz", "Whether the process answers", Health, alive, None),
    Operation("readyz", "GET", "/readyz", "Whether the server takes requests", Health, ready, None),
    Operation("metrics", "GET", "/metrics", "Counters and times, for Prometheus", Text, metrics, "metrics"),
    Operation("openapi", "GET", "/openapi.json", "This description, as OpenAPI 3.1", Text, openapi, ""),
    Operation("docs", "GET", "/docs", "This description, as a page", Text, docs, ""),
)
