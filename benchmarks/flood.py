"""A load generator that costs a small share of what it asks for, so that both fit on one machine.

    python -m benchmarks.flood PORT SECONDS CONNECTIONS USERS [RATE]

One thread over raw sockets sends bytes that are made beforehand and reads of each answer its status and its
length alone. With a rate, requests are due at moments drawn at random, whatever the server does, and the time
of an answer runs from when its request was due. Without, each connection sends its next request when it has
its answer. Prints one JSON line, as `benchmarks.http_load` does.
"""

from __future__ import annotations

import gc
import json
import random
import select
import socket
import sys
import time
from collections import deque
from itertools import cycle

from shortlist.serving.loadtest import OK, SHED_SECONDS, Load

ADDRESS = "127.0.0.1"
PREPARED = 4096  # requests, of users drawn beforehand
EVENTS = 64  # answers that are read before it is looked again whether a request is due
END_SECONDS = 5.0  # after the last request, in which the answers must have come
READ = 1 << 16
HEAD_END = b"\r\n\r\n"


class Line:
    """A kept connection with one request in progress at most, opened anew when the server has closed it.

    Args:
        port: of the server.
        poll: told of the connection.
        lines: where it is found by the number of its socket.
    """

    def __init__(self, port: int, poll: select.epoll, lines: dict[int, Line]) -> None:
        self.port, self.poll, self.lines = port, poll, lines
        self.since: float | None = None  # when its request was due, if it is in progress
        self._got = b""
        self._socket: socket.socket | None = None
        self._open()

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at a moment."""
        connection = self._open() if self._socket is None else self._socket
        self.since = due
        connection.send(request)

    def read(self) -> int | None:
        """The status of the answer, once it has come; None before. Of a lost connection, 0."""
        assert self._socket is not None
        try:
            data = self._socket.recv(READ)
        except OSError:
            data = b""
        if not data:
            self._close()
            return 0
        got = self._got + data if self._got else data
        end = got.find(HEAD_END)
        start = got.find(b"content-length: ", 0, end) + 16
        if end < 0 or len(got) < end + 4 + int(got[start : got.find(b"\r", start)]):
            self._got = got
            return None
        self._got = b""
        if got.find(b"connection: close", 0, end) > 0:
            self._close()
        return int(got[9:12])

    def _open(self) -> socket.socket:
        self._socket = socket.create_connection((ADDRESS, self.port))
        self._socket.setblocking(False)
        self.poll.register(self._socket, select.EPOLLIN)
        self.lines[self._socket.fileno()] = self
        return self._socket

    def _close(self) -> None:
        assert self._socket is not None
        self.poll.unregister(self._socket)
        del self.lines[self._socket.fileno()]
        self._socket.close()
        self._socket, self._got = None, b""


class Flood:
    """Requests over many connections.

    Args:
        port: of the server.
        connections: how many; all are open before the first request.
        users: whose ids are drawn.
        seed: of the moments and the users.
    """

    def __init__(self, port: int, connections: int, users: int, *, seed: int = 0) -> None:
        self.load, self.connections, self._random = Load(), connections, random.Random(seed)
        self._requests = cycle([_request(self._random.randrange(users)) for _ in range(PREPARED)])
        self._poll, self._lines = select.epoll(), dict[int, Line]()
        self._free = [Line(port, self._poll, self._lines) for _ in range(connections)]

    def at_a_rate(self, rate: float, seconds: float) -> Load:
        """Requests at their moments; where no connection is free they wait, and their wait counts.

        Args:
            rate: requests a second.
            seconds: how long.
        """
        begun, gap = time.perf_counter(), self._random.expovariate
        end, due = begun + seconds, begun + gap(rate)
        while due < end:
            now = time.perf_counter()
            while due <= now and due < end and self._free:
                self._free.pop().send(next(self._requests), due)
                due += gap(rate)
            answers = self._answers(due - now if self._free else END_SECONDS)
            self._free += [line for line, _ in answers]
        return self._finished(begun)

    def one_after_the_other(self, seconds: float) -> Load:
        """As many requests as the connections can carry; one that was turned away pauses.

        Args:
            seconds: how long.
        """
        begun, paused = time.perf_counter(), deque[tuple[float, Line]]()
        end = begun + seconds
        while (now := time.perf_counter()) < end:
            while paused and paused[0][0] <= now:
                self._free.append(paused.popleft()[1])
            for line in self._free:
                line.send(next(self._requests), time.perf_counter())
            answers = self._answers(min(paused[0][0] if paused else end, end) - now)
            self._free = [line for line, status in answers if status == OK]
            paused += [(time.perf_counter() + SHED_SECONDS, line) for line, status in answers if status != OK]
        self._free += [line for _, line in paused]
        return self._finished(begun)

    def _answers(self, patience: float) -> list[tuple[Line, int]]:
        """The connections whose answers have come, and the statuses, after some seconds at most."""
        if patience > 0:  # an epoll waits for whole milliseconds, a select for an epoll for microseconds
            select.select([self._poll], [], [], patience)
        done = []
        for number, _ in self._poll.poll(0, EVENTS):
            line = self._lines[number]
            status = line.read()
            if line.since is None or status is None:  # idle, and closed by the server; or not whole
                continue
            if status == 0:
                self.load.failures["closed"] += 1
            else:
                self.load.statuses[status] += 1
            if status == OK:
                self.load.times.append(time.perf_counter() - line.since)
            line.since = None
            done.append((line, status))
        return done

    def _finished(self, begun: float) -> Load:
        """Wait for the answers that have not come."""
        self.load.seconds = time.perf_counter() - begun
        end, missing = time.perf_counter() + END_SECONDS, self.connections - len(self._free)
        while missing and (now := time.perf_counter()) < end:
            missing -= len(self._answers(end - now))
        if missing:
            self.load.failures["no answer"] += missing
        return self.load


def _request(user: int) -> bytes:
    body = b'{"user":%d}' % user
    return (
        b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def main() -> None:
    """Run what the arguments say."""
    port, connections, users = int(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
    flood, seconds = Flood(port, connections, users), float(sys.argv[2])
    gc.collect()
    gc.disable()  # nothing here is a cycle, and a collection would count as the server's time
    if len(sys.argv) > 5:
        load = flood.at_a_rate(float(sys.argv[5]), seconds)
    else:
        load = flood.one_after_the_other(seconds)
    print(json.dumps(load.summary))


if __name__ == "__main__":
    main()
