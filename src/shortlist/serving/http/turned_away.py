"""Those who are told that the server is busy, at the smallest cost."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from shortlist.kernels.turnstile import AVAILABLE, Turnstile
from shortlist.serving.http.endpoint import SHED_SECONDS, encoded
from shortlist.serving.refusal import busy
from shortlist.serving.routes.recommend import OPERATIONS
from shortlist.serving.schemas.api import Failure, Problem
from shortlist.serving.service import Service

STATUS = 503
TELL_SECONDS = 0.005  # between two looks at who has waited long enough to be told
TOLD_AT_ONCE = 64  # before others have a turn
NAME = "THE-NAME-OF-THE-REQUEST"
TURN_SECONDS = 0.002  # at least between two turns of the turnstile
PAUSES = 3  # as long as the turn before, so that refusing takes a quarter of the loop's time at most
READ_AT_ONCE = 512  # connections in a turn
LET_IN_AT_ONCE = 64  # requests in a turn


class TurnedAway:
    """Those who are to be told that the server is busy.

    A client that is turned away is told after a while. From then on its connection goes through a turnstile:
    its requests are read and refused without the interpreter, which the thread of the answers needs more,
    until one is let in.

    Args:
        service: whose lists everybody wants.
    """

    def __init__(self, service: Service) -> None:
        self.service, self.operation = service, OPERATIONS[0]
        self._method, self._path = self.operation.method.encode(), self.operation.path.encode()
        self._parts = _answer()
        self._waiting: deque[tuple[float, Any]] = deque()
        self._telling = False
        self._coming = 0  # let in, but not yet where they are counted
        self._inside: dict[int, Any] = {}
        self._turning = False
        # Logs and traces are told of each request, and so is the interpreter.
        first_line = b"%b %b HTTP/1.1\r\n" % (self._method, self._path)
        plain = AVAILABLE and service.lines is None and service.tracing is None
        self.turnstile = Turnstile(first_line, *self._parts) if plain else None

    def is_due(self, method: bytes, url: bytes) -> bool:
        """Whether a request is turned away whatever its body says; one that is not is counted.

        Args:
            method: of the request.
            url: that it asks for.
        """
        if url != self._path or method != self._method:
            return False
        if self.service.is_full(self._coming):
            return True
        self._let_in(1)
        return False

    def add(self, protocol: Any) -> None:
        """Tell a client in a while.

        Args:
            protocol: of its connection.
        """
        self._waiting.append((time.perf_counter() + SHED_SECONDS, protocol))
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_later(SHED_SECONDS, self._tell)

    def answer(self, request_id: bytes, headers: bytes) -> bytes:
        """What a client is told.

        Args:
            request_id: that the answer names.
            headers: further ones, each with its line break.
        """
        before, between, after, length = self._parts
        start = b"HTTP/1.1 503 Service Unavailable\r\n%bcontent-length: %d\r\n"
        start %= headers, length + len(request_id)
        return b"".join((start, before, request_id, between, request_id, after))

    def enter(self, number: int, protocol: Any) -> None:
        """Have the turnstile read of a connection.

        Args:
            number: of its socket.
            protocol: that takes it back with what the turnstile does not refuse.
        """
        assert self.turnstile is not None
        self.turnstile.add(number)
        self._inside[number] = protocol
        if len(self._inside) == 1 and not self._turning:
            asyncio.get_running_loop().add_reader(self.turnstile.fileno(), self._turn)

    def leave(self, number: int, protocol: Any) -> bool:
        """Read of a connection no more; whether that was so.

        Args:
            number: of its socket, which may be another's by now.
            protocol: of the connection.
        """
        if self.turnstile is None or self._inside.get(number) is not protocol:
            return False
        del self._inside[number]
        self.turnstile.remove(number)
        return True

    def _turn(self) -> None:
        """Look at the turnstile; while something comes, in bursts, between which the loop is free."""
        assert self.turnstile is not None
        started = time.perf_counter()
        room, is_full = 0, self.service.is_full
        while room < LET_IN_AT_ONCE and not is_full(self._coming + room):
            room += 1
        lines = next((each.lines() for each in self._inside.values()), b"")
        refused, handed = self.turnstile.turn(room, READ_AT_ONCE, lines)
        out = [(self._inside.pop(each.socket), each) for each in handed]
        self._plan(bool(refused or handed), time.perf_counter() - started)
        if refused:
            self.service.telemetry.refused(self.operation.name, STATUS, refused)
        for protocol, each in out:
            protocol.take_back(each.content, each.unsent)

    def _plan(self, busy: bool, seconds: float) -> None:
        """When the next turn is, after one that took some seconds."""
        assert self.turnstile is not None
        loop, was_turning = asyncio.get_running_loop(), self._turning
        self._turning = busy
        if busy:
            if not was_turning:
                loop.remove_reader(self.turnstile.fileno())
            loop.call_later(max(TURN_SECONDS, PAUSES * seconds), self._turn)
        elif was_turning and self._inside:
            loop.add_reader(self.turnstile.fileno(), self._turn)

    def _let_in(self, count: int) -> None:
        if not self._coming:  # their tasks run before the next bytes are read
            asyncio.get_running_loop().call_soon(self._arrived)
        self._coming += count

    def _arrived(self) -> None:
        self._coming = 0

    def _tell(self) -> None:
        loop, now = asyncio.get_running_loop(), time.perf_counter()
        for _ in range(TOLD_AT_ONCE):
            if not self._waiting or self._waiting[0][0] > now:
                break
            self._waiting.popleft()[1].tell()
        if self._waiting:
            loop.call_later(TELL_SECONDS if self._waiting[0][0] > now else 0, self._tell)
        else:
            self._telling = False


def _answer() -> tuple[bytes, bytes, bytes, int]:
    """What stands around the two places of a request's name in the answer, and its content's other bytes."""
    refusal = busy()
    content, headers = encoded(Failure(Problem(refusal.what, refusal.where, refusal.remedy), NAME))
    lines = [each for each in headers if each[0] != b"content-length"]
    lines += [(b"retry-after", str(refusal.retry_after).encode()), (b"x-request-id", NAME.encode())]
    whole = b"".join(b"%b: %b\r\n" % each for each in lines) + b"\r\n" + content
    before, between, after = whole.split(NAME.encode())
    return before, between, after, len(content) - len(NAME)
