"""HTTP as uvicorn speaks it, but requests that there is no room for are turned away before they cost much."""

from __future__ import annotations

import asyncio
import time
from random import getrandbits
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shortlist.serving.http.endpoint import REQUEST_ID, note_answer
from shortlist.serving.http.turned_away import STATUS, TurnedAway


class Protocol(HttpToolsProtocol):
    """A connection.

    Args:
        *args: of uvicorn.
        turned_away: tells clients that the server is busy.
        **options: of uvicorn.
    """

    def __init__(self, *args: Any, turned_away: TurnedAway, **options: Any) -> None:
        super().__init__(*args, **options)
        self.turned_away = turned_away
        self._number = -1  # of the socket
        self._skipping = False  # the body of a request that is turned away
        self._reading = False  # a request that has not come whole
        # Of a request that was turned away: its name, when it came, whether the client stays.
        self._untold: tuple[bytes, float, bool] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        if (socket := transport.get_extra_info("socket")) is not None:
            self._number = socket.fileno()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self.turned_away.leave(self._number, self)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self.tell()  # who does not wait for an answer gets it at once, before that of the next request
        self._reading = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """What a request wants is known."""
        idle = self.cycle is None or self.cycle.response_complete
        plain = idle and not self.expect_100_continue and not self.parser.should_upgrade()
        if not (plain and self.turned_away.is_due(self.parser.get_method(), self.url)):
            super().on_headers_complete()
            return
        name = dict(self.headers).get(b"x-request-id", b"")
        if not REQUEST_ID.match(name.decode("latin-1")):
            name = b"%016x" % getrandbits(64)
        stays = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        self._skipping, self._untold = True, (name, time.perf_counter(), stays)
        self.turned_away.add(self)

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        if not self._skipping:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._reading = False
        if not self._skipping:
            super().on_message_complete()
        self._skipping = False

    def shutdown(self) -> None:
        """The server stops."""
        self.tell()
        super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing has come for a while, unless the turnstile has read it."""
        if self.turned_away.leave(self._number, self):
            self.flow.resume_reading()
            self._wait_for_next()
        else:
            super().timeout_keep_alive_handler()

    def tell(self) -> None:
        """Answer a request that was turned away, if there is one."""
        if self._untold is None:
            return
        (name, came, stays), self._untold = self._untold, None
        client = self.client[0] if self.client else ""
        turned_away, id_ = self.turned_away, name.decode()
        note_answer(turned_away.service, turned_away.operation, STATUS, came, request_id=id_, client=client)
        if self.transport.is_closing():
            return
        stays = stays and not self._reading  # a body that has not come by now is not waited for
        lines = self.lines() + (b"" if stays else b"connection: close\r\n")
        self.transport.write(turned_away.answer(name, lines))
        if stays:
            self._wait_for_next()
            if turned_away.turnstile is not None and self.scheme == "http":
                self.loop.call_soon(self._enter_turnstile)  # when the answer has been sent
        else:
            self.transport.close()

    def take_back(self, content: bytes, unsent: bool) -> None:
        """Go on with a connection that has left the turnstile.

        Args:
            content: that was read of it; empty where the client has gone.
            unsent: whether it is the rest of an answer instead.
        """
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if unsent:
            self.transport.write(content)
        elif content:
            self.data_received(content)

    def _enter_turnstile(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        between = idle and self._untold is None and not self._reading
        if between and not self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.flow.pause_reading()
            self.turned_away.enter(self._number, self)

    def _wait_for_next(self) -> None:
        self._unset_keepalive_if_required()
        later = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self.timeout_keep_alive_task = later

    def lines(self) -> bytes:
        """The headers that every answer has, such as the date."""
        return b"".join(b"%b: %b\r\n" % each for each in self.server_state.default_headers)
