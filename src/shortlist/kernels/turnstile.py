"""Kept connections that are read without the interpreter: most of their requests are refused."""

from __future__ import annotations

import sys
from typing import NamedTuple

from shortlist import _native
from shortlist.errors import ConfigError

AVAILABLE = sys.platform == "linux"  # elsewhere there is no epoll


class Handed(NamedTuple):
    """A connection that has left a turnstile.

    Args:
        socket: its number.
        content: bytes that have been read of it; empty where the client has gone.
        unsent: whether they are the rest of an answer instead, which the client does not take yet.
    """

    socket: int
    content: bytes
    unsent: bool


class Turnstile:
    """Reads of connections, lets some requests through and refuses the others, in native code.

    Only whole requests of the plainest form are refused: the given first line, headers that do not change how
    the request is read, a body of the length that they say. What looks different leaves, and so do the
    connections of requests that are let through.

    Args:
        first_line: of the requests, with its line break.
        before: of the answer, after the headers that change: from a header on up to the request's name.
        between: from there to where the name stands again, in the content.
        after: the rest.
        length: of the content without the name, in bytes.

    Raises:
        ConfigError: the system has no epoll.
    """

    def __init__(self, first_line: bytes, before: bytes, between: bytes, after: bytes, length: int) -> None:
        if not AVAILABLE:
            raise ConfigError("a turnstile needs epoll", where=sys.platform, remedy="run it on Linux")
        self._native = _native.Turnstile(first_line, before, between, after, length)

    def fileno(self) -> int:
        """What can be waited on: it is readable when one of the connections is."""
        return self._native.fileno()

    def add(self, socket: int) -> None:
        """Read of a connection from now on; nobody else may.

        Args:
            socket: its number.
        """
        self._native.add(socket)

    def remove(self, socket: int) -> None:
        """Leave a connection to others, before it is closed at the latest.

        Args:
            socket: its number.
        """
        self._native.remove(socket)

    def turn(self, room: int, most: int, headers: bytes) -> tuple[int, list[Handed]]:
        """Read of the connections on which something has come.

        Args:
            room: requests that are let through at most.
            most: connections that are read of.
            headers: further ones of the answers, each with its line break.

        Returns:
            How many requests were refused, and the connections that have left.
        """
        refused, handed = self._native.turn(room, most, headers)
        return refused, [Handed(*each) for each in handed]


def plain_request_id(content: bytes, first_line: bytes) -> bytes | None:
    """How a request of the plainest form names itself.

    Args:
        content: bytes that may be a request.
        first_line: that it must have, with its line break.

    Returns:
        The value of its X-Request-Id, empty without one; None where the bytes are no such request.
    """
    return _native.plain_request_id(content, first_line)
