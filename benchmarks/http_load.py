"""A load generator: requests for recommendations over kept connections, from a process of its own.

    python -m benchmarks.http_load PORT SECONDS CONNECTIONS USERS [RATE]

With a rate, requests are due at moments drawn at random, and the time of one runs from when it was due,
whether or not a connection was free: what a slow answer delays is counted. Without, each connection sends its
next request when it has an answer. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter

ADDRESS = "127.0.0.1"
OK = 200
SHED_SECONDS = 0.05  # before a client that was turned away tries again


class Connection:
    """A kept connection.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, user: int) -> int:
        """Ask for recommendations; the status of the answer."""
        if self.reader is None or self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(ADDRESS, self.port)
        body = b'{"user":%d}' % user
        self.writer.write(
            b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await self.reader.readexactly(length)
        return int(head[9:12])


async def closed_loop(port: int, seconds: float, connections: int, users: int) -> dict[str, object]:
    """As many requests as the connections can carry."""
    end, times, statuses = time.perf_counter() + seconds, list[float](), Counter[int]()

    async def run(seed: int) -> None:
        draw, connection = random.Random(seed), Connection(port)
        while (started := time.perf_counter()) < end:
            status = await connection.ask(draw.randrange(users))
            statuses[status] += 1
            if status == OK:
                times.append(time.perf_counter() - started)
            else:
                await asyncio.sleep(SHED_SECONDS)

    await asyncio.gather(*map(run, range(connections)))
    return summary(times, statuses, seconds)


async def open_loop(
    port: int, seconds: float, connections: int, users: int, rate: float
) -> dict[str, object]:
    """So many requests a second, whatever the server does."""
    draw, times, statuses = random.Random(0), list[float](), Counter[int]()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(Connection(port))
    begun = time.perf_counter()

    async def one(due: float, user: int) -> None:
        connection = await free.get()
        status = await connection.ask(user)
        statuses[status] += 1
        if status == OK:
            times.append(time.perf_counter() - due)
        free.put_nowait(connection)

    tasks, due = [], begun
    while due < begun + seconds:
        due += draw.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due, draw.randrange(users))))
    await asyncio.gather(*tasks)
    return summary(times, statuses, seconds)


def summary(times: list[float], statuses: Counter[int], seconds: float) -> dict[str, object]:
    """Answers a second, quantiles of their times, and how many requests had which status."""
    ordered = sorted(times) or [float("nan")]

    def quantile(share: float) -> float:
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {
        "rps": len(times) / seconds,
        "p50_ms": quantile(0.5),
        "p99_ms": quantile(0.99),
        "statuses": dict(statuses),
    }


def main() -> None:
    """Run what the arguments say."""
    port, seconds, connections, users = (
        int(sys.argv[1]),
        float(sys.argv[2]),
        int(sys.argv[3]),
        int(sys.argv[4]),
    )
    if len(sys.argv) > 5:
        work = open_loop(port, seconds, connections, users, float(sys.argv[5]))
    else:
        work = closed_loop(port, seconds, connections, users)
    print(json.dumps(asyncio.run(work)))


if __name__ == "__main__":
    main()
