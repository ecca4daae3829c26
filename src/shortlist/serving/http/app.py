"""The server as an ASGI application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from shortlist.serving.http.endpoint import Endpoint, encoded
from shortlist.serving.routes import OPERATIONS
from shortlist.serving.schemas.api import Failure, Problem
from shortlist.serving.service import Service
from shortlist.serving.settings import ServerSettings

ESCAPED_SLASH = "\udc2f"  # a %2F while a path is taken apart; half a character, which no path holds


def create_app(bundle: str | Path, settings: ServerSettings | None = None) -> Starlette:
    """Make the application that `shortlist serve` runs, for any ASGI server.

    Args:
        bundle: folder of a bundle.
        settings: how it runs; host and port are the server's own affair.

    Returns:
        The application; its parts are in `app.state.service`.

    Raises:
        BundleError: the bundle cannot be used.
        StoreError: the store cannot be opened.
        ConfigError: the settings do not fit together.
    """
    return application(Service(bundle, ServerSettings() if settings is None else settings))


def application(service: Service) -> Starlette:
    """The routes of a service.

    Args:
        service: that answers; it is started and closed with the application.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    routes = [
        _Route(each.path, Endpoint(each, service), methods=[each.method], name=each.name)
        for each in OPERATIONS
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _no_route})
    app.router.redirect_slashes = False
    app.state.service = service
    return app


class _Route(Route):
    """A route whose ids may hold slashes, which come percent-encoded."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a path is this route's; in the decoded path it can no longer be seen where an id ends."""
        raw: bytes = scope.get("raw_path") or b""
        if b"%" not in raw:
            return super().matches(scope)
        segments = [unquote(each).replace("/", ESCAPED_SLASH) for each in raw.decode("latin-1").split("/")]
        match, found = super().matches({**scope, "path": "/".join(segments)})
        if "path_params" in found:
            given = found["path_params"].items()
            found["path_params"] = {name: value.replace(ESCAPED_SLASH, "/") for name, value in given}
        return match, found


async def _no_route(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: an unknown path, or a method that a path does not have."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = {404: "there is no such path", 405: "the path has no such method"}.get(status, "refused")
    problem = Problem(what, where=f"{request.method} {request.url.path}"[:200], remedy="see /openapi.json")
    content, headers = encoded(Failure(problem, os.urandom(8).hex()))
    allowed = getattr(error, "headers", None) or {}
    return Response(content, status, {**{k.decode(): v.decode() for k, v in headers}, **allowed})
