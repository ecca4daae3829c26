"""From a raw request to an operation and back: who it is, whether there is room, what was wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from shortlist.errors import Error, StoreError, UnknownIdError
from shortlist.serving.operations import Call, Operation, Text
from shortlist.serving.refusal import Refusal, wrong_value
from shortlist.serving.schemas.api import Failure, Problem
from shortlist.serving.schemas.model_servers import ErrorText
from shortlist.serving.security.keys import Key
from shortlist.serving.service import Service

log = logging.getLogger("shortlist.serving")

REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
JSON = b"application/json"
# That a request waits before it is told that the server is busy. Turning away takes time too, and a flood
# that is turned away at once comes again at once: those who were admitted would wait for it.
SHED_SECONDS = 0.1
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
Headers = dict[bytes, bytes]
_encoder = msgspec.json.Encoder(decimal_format="number")


class Endpoint:
    """An operation as an ASGI application.

    Args:
        operation: what is done.
        service: with what.
    """

    def __init__(self, operation: Operation, service: Service) -> None:
        self.operation, self.service = operation, service
        self._decoder = None if operation.body is None else msgspec.json.Decoder(operation.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        started, service, operation = time.perf_counter(), self.service, self.operation
        headers: Headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"").decode("latin-1")
        if not REQUEST_ID.match(request_id):
            request_id = os.urandom(8).hex()
        client = (scope.get("client") or ("",))[0]
        if service.tracing is None:
            status, key = await self._answer(scope, receive, send, headers, client, request_id)
        else:
            with service.tracing.request(operation.method, operation.path, headers, request_id) as span:
                status, key = await self._answer(scope, receive, send, headers, client, request_id)
                service.tracing.answered(span, status)
        note_answer(service, operation, status, started, request_id=request_id, client=client, key=key)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, headers: Headers, client: str, request_id: str
    ) -> tuple[int, Key | None]:
        """Answer; the status, and the key that came with the request."""
        status, retry_after = 200, None
        answer: Struct | Text
        key: Key | None = None
        try:
            key = self._admit(headers, client)
            with self.service.requests:
                body = await self._body(headers, receive)
                call = Call(self._decoded(body), scope.get("path_params", {}), self._query(scope), request_id)
                answer = await self.operation.handle(self.service, call)
        except Exception as error:
            status, failure, retry_after = _failure(error, request_id)
            answer = ErrorText(failure.error.text) if self.operation.foreign else failure
            if status == 503 and isinstance(error, Refusal) and not self.service.draining:
                await asyncio.sleep(SHED_SECONDS)
        if self.operation.audited:
            self._audit(scope, key, client, request_id, status)
        await respond(send, status, answer, request_id, retry_after=retry_after)
        return status, key

    def _admit(self, headers: Headers, client: str) -> Key | None:
        """Refuse who may not ask, or asks too often."""
        service, scope = self.service, self.operation.scope
        key = None
        if scope is not None:
            if service.keys is None:
                _check_host(headers)
            else:
                key = service.keys.find(_token(headers))
                if key is None:
                    raise Refusal(401, "there is no valid API key", remedy="send Authorization: Bearer KEY")
                if scope and scope not in key.scopes:
                    raise Refusal(403, f"the key lacks the scope {scope!r}", remedy="use another key")
            if service.rate is not None:
                service.rate.check(client if key is None else key.id)
        return key

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        if self._decoder is None:
            return b""
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        # A page of a stranger always says where it comes from, so that what says nothing is no page.
        untyped = self.operation.foreign and b"origin" not in headers
        if kind != JSON and not untyped:
            raise Refusal(
                415, f"the content type is {kind.decode('latin-1')!r}", remedy="send application/json"
            )
        most = self.service.settings.max_body
        too_long = Refusal(413, f"the body has more than {most:,} bytes", remedy="send less at a time")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > most:
            raise too_long
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.service.settings.body_seconds):
                more = True
                while more:
                    message: MutableMapping[str, Any] = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "the client has gone")
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise too_long
                    parts.append(part)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise Refusal(408, "the body did not come in time", remedy="send it at once") from error
        return b"".join(parts)

    def _decoded(self, body: bytes) -> Any:
        if self._decoder is None:
            return None
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise wrong_value(error, "the body") from error

    def _query(self, scope: Scope) -> Any:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=20)
        if self.operation.query is None:
            if pairs:
                raise Refusal(400, f"the parameter {pairs[0][0]!r:.80} is unknown", where="the query string")
            return None
        try:
            return msgspec.convert(dict(pairs), self.operation.query, strict=False)
        except msgspec.ValidationError as error:
            raise wrong_value(error, "the query string") from error

    def _audit(self, scope: Scope, key: Key | None, client: str, request_id: str, status: int) -> None:
        self.service.audit(
            request_id=request_id,
            key=None if key is None else key.id,
            client=client,
            method=scope["method"],
            path=scope["path"],
            status=status,
        )


def note_answer(
    service: Service,
    operation: Operation,
    status: int,
    started: float,
    *,
    request_id: str,
    client: str,
    key: Key | None = None,
) -> None:
    """Count an answer, and write its line.

    Args:
        service: that keeps the counts.
        operation: that was asked for.
        status: of HTTP.
        started: moment of `time.perf_counter` when the request had come.
        request_id: names it.
        client: address of who asked.
        key: that came with the request, or None.
    """
    seconds = time.perf_counter() - started
    service.telemetry.answered(operation.name, status, seconds)
    if service.lines is not None:
        service.lines.write(
            "answered",
            request_id=request_id,
            operation=operation.name,
            method=operation.method,
            path=operation.path,  # without ids: the log is not about persons
            status=status,
            seconds=round(seconds, 6),
            client=client,
            key=None if key is None else key.id,
        )


async def respond(
    send: Send, status: int, answer: Struct | Text, request_id: str, *, retry_after: int | None = None
) -> None:
    """Send an answer.

    Args:
        send: of ASGI.
        status: of HTTP.
        answer: its content.
        request_id: named in a header.
        retry_after: seconds to wait before asking again, or None.
    """
    content, headers = encoded(answer)
    headers.append((b"x-request-id", request_id.encode()))
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def encoded(answer: Struct | Text) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """An answer's bytes, and the headers that every answer has."""
    if isinstance(answer, Text):
        content, media_type, more = answer.content, answer.media_type.encode(), answer.policy
    else:
        content, media_type, more = _encoder.encode(answer), JSON, ""
    policy = "default-src 'none'; frame-ancestors 'none'" + (f"; {more}" if more else "")
    headers = [
        (b"content-type", media_type),
        (b"content-length", str(len(content)).encode()),
        (b"content-security-policy", policy.encode()),
        *HEADERS,
    ]
    return content, headers


def _failure(error: Exception, request_id: str) -> tuple[int, Failure, int | None]:
    """Status, answer and seconds to wait for an error; what nobody expected is told to the log alone."""
    retry_after = None
    match error:
        case Refusal():
            status, retry_after = error.status, error.retry_after
        case UnknownIdError():
            status = 404
        case StoreError():
            log.warning("%s %s", request_id, error, extra={"request_id": request_id})
            problem = Problem("the store cannot be reached", remedy="send the request again later")
            return 503, Failure(problem, request_id), 1
        case Error():
            status = 400
        case _:
            log.error("%s failed", request_id, exc_info=error, extra={"request_id": request_id})
            problem = Problem("the server failed", remedy="report the request id to whoever runs it")
            return 500, Failure(problem, request_id), None
    return status, Failure(Problem(error.what, error.where, error.remedy), request_id), retry_after


def _token(headers: Headers) -> str:
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    found = token if kind.lower() == b"bearer" else headers.get(b"x-api-key", b"")
    return found.strip().decode("latin-1")


def _check_host(headers: Headers) -> None:
    """Without keys, only pages and programs of this machine: no name that a stranger's page could rebind."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in LOCAL_NAMES:
        raise Refusal(
            403,
            f"the host {host!r:.80} is not this machine",
            where="the Host header",
            remedy="use localhost, or start the server with --keys",
        )
