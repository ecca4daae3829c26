"""A load generator: requests over kept connections, at their moments or as fast as they are answered."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from shortlist.errors import ConfigError

OK = 200
SHED = (429, 503)
SHED_SECONDS = 0.05  # before a client of a closed loop that was turned away tries again
ANSWER_SECONDS = 30.0  # after which an answer is given up
FAILURES = (
    OSError,
    asyncio.IncompleteReadError,
    asyncio.LimitOverrunError,
    TimeoutError,
    ValueError,
    IndexError,
)


@dataclass(frozen=True)
class Target:
    """A server.

    Args:
        host: its name or address.
        port: that it listens on.
        tls: whether it speaks TLS; certificates are checked.
        key: API key, or an empty text.
    """

    host: str
    port: int
    tls: bool = False
    key: str = ""

    @classmethod
    def parse(cls, url: str, key: str = "") -> Target:
        """The server at an address.

        Args:
            url: such as `"http://127.0.0.1:8000"`.
            key: API key, or an empty text.

        Raises:
            ConfigError: the address is none.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is no address of a server", remedy="such as http://127.0.0.1:8000")
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), tls, key)


@dataclass(frozen=True)
class Sent:
    """A request.

    Args:
        due: seconds after the beginning.
        body: its content.
        path: that it is sent to.
        method: of HTTP.
    """

    due: float
    body: bytes
    path: str = "/v1/recommend"
    method: str = "POST"


@dataclass
class Load:
    """What came of a load.

    Args:
        seconds: that it took.
        times: seconds of the answers with status 200.
        statuses: how many answers had which status.
        failures: requests without an answer, by what happened.
    """

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        """Milliseconds within which this share of the answers came; not a number without answers."""
        ordered = sorted(self.times) or [float("nan")]
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def summary(self) -> dict[str, Any]:
        """The figures: rates a second, quantiles in milliseconds, and counts."""
        answers = self.statuses.total()
        shed = sum(self.statuses[status] for status in SHED)
        quantiles = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
        return {
            "requests": answers + self.failures.total(),
            "seconds": self.seconds,
            "rps": len(self.times) / self.seconds if self.seconds else 0.0,
            "shed_rps": shed / self.seconds if self.seconds else 0.0,
            **{name: self.quantile(share) for name, share in quantiles.items()},
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "failures": dict(self.failures),
        }


class Connection:
    """A kept connection, opened when it is first needed and anew when it was lost.

    Args:
        target: the server.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._head = _head(target)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Sent) -> tuple[int, bytes]:
        """Send a request; the status and the content of its answer.

        Raises:
            Exception: one of `FAILURES`.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._send(request)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def _send(self, request: Sent) -> tuple[int, bytes]:
        if self._streams is None:
            tls = ssl.create_default_context() if self.target.tls else None
            self._streams = await asyncio.open_connection(self.target.host, self.target.port, ssl=tls)
        reader, writer = self._streams
        first = f"{request.method} {request.path} HTTP/1.1\r\n".encode()
        length = b"Content-Length: %d\r\n\r\n" % len(request.body)
        writer.write(b"".join((first, self._head, length, request.body)))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        content = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        if b"\r\nconnection: close" in head:
            self.close()
        return int(head[9:12]), content


async def saturate(
    target: Target, seconds: float, *, connections: int, draw: Callable[[random.Random], Sent]
) -> Load:
    """As many requests as the connections can carry: each sends its next one when it has an answer.

    Args:
        target: the server.
        seconds: how long.
        connections: how many.
        draw: makes a request; its moment does not matter.
    """
    load, begun = Load(), time.perf_counter()
    end = begun + seconds

    async def run(seed: int) -> None:
        random_, connection = random.Random(seed), Connection(target)
        while (started := time.perf_counter()) < end:
            status = await _measured(connection, draw(random_), started, load)
            if status != OK:
                await asyncio.sleep(SHED_SECONDS)
        connection.close()

    await asyncio.gather(*map(run, range(connections)))
    load.seconds = time.perf_counter() - begun
    return load


async def replay(target: Target, requests: Iterable[Sent], *, connections: int) -> Load:
    """Requests at their moments, whatever the server does.

    The time of an answer runs from when its request was due, whether or not a connection was free: what a
    slow answer delays is counted.

    Args:
        target: the server.
        requests: in the order of their moments.
        connections: how many at most.
    """
    load, free = Load(), asyncio.LifoQueue[Connection]()
    for _ in range(connections):
        free.put_nowait(Connection(target))
    begun = time.perf_counter()

    async def one(request: Sent) -> None:
        connection = await free.get()
        await _measured(connection, request, begun + request.due, load)
        free.put_nowait(connection)

    tasks = set[asyncio.Task[None]]()
    for request in requests:
        await asyncio.sleep(max(0.0, begun + request.due - time.perf_counter()))
        task = asyncio.create_task(one(request))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    load.seconds = time.perf_counter() - begun
    while not free.empty():
        free.get_nowait().close()
    return load


def arrivals(
    rate: float, seconds: float, draw: Callable[[random.Random], Sent], *, seed: int = 0
) -> Iterator[Sent]:
    """Requests at moments drawn at random, as those of many independent clients come.

    Args:
        rate: requests a second.
        seconds: how long.
        draw: makes a request.
        seed: of the moments and the requests.
    """
    random_ = random.Random(seed)
    due = random_.expovariate(rate)
    while due < seconds:
        yield replace(draw(random_), due=due)
        due += random_.expovariate(rate)


def some_user(users: int) -> Callable[[random.Random], Sent]:
    """Draws requests of users whose ids are whole numbers from 0 on.

    Args:
        users: how many.
    """
    return lambda random_: Sent(0.0, b'{"user":%d}' % random_.randrange(users))


async def _measured(connection: Connection, request: Sent, since: float, load: Load) -> int | None:
    try:
        status, _ = await connection.send(request)
    except FAILURES as error:
        load.failures[type(error).__name__] += 1
        return None
    load.statuses[status] += 1
    if status == OK:
        load.times.append(time.perf_counter() - since)
    return status


def _head(target: Target) -> bytes:
    """The headers that all requests have."""
    lines = [f"Host: {target.host}", "Content-Type: application/json"]
    if target.key:
        lines.append(f"Authorization: Bearer {target.key}")
    with contextlib.suppress(UnicodeEncodeError):
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    raise ConfigError("the key has strange characters", remedy="use one that `shortlist keys create` gave")
