"""Ten times what a server can answer: how fast the admitted are answered, what the rest are told."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure
from benchmarks.serving import memory_mb, save_funnel, serving
from shortlist.serving.loadtest import OK, SHED, Connection, Sent, Target

ITEMS, QUICK_ITEMS = 200_000, 60_000
USERS, QUICK_USERS = 20_000, 4_000
SECONDS, QUICK_SECONDS = 60.0, 6.0
TIMES_CAPACITY = 10
FLOOD_CONNECTIONS = 2048
CONNECTIONS = 32  # that ask one request after the other, for the capacity
CALM_CONNECTIONS = 256  # of the client beside the flood: more than wait for a refusal at a time
CALM_SHARE = 0.2  # of the capacity, which that client asks for, with the flood and without
LONGEST_WAIT = "0.005"  # seconds of work ahead of a request that is admitted
CALM_ANSWERS = 20  # in a row, that show that the server has recovered
LONGEST_RECOVERY = 30.0
CLIENTS = 256  # that come at once, of whom some are turned away
WARM_SECONDS = 2.0  # of the flood, after which memory is what it is


@dataclass(frozen=True)
class Outcome:
    """What an overload did.

    Args:
        capacity: requests a second that the server answers when it is asked as much as it can bear.
        offered: times the capacity that it was asked.
        admitted: requests a second that it answered meanwhile.
        calm_p99_ms: of a client that asks for a fifth of the capacity, alone.
        p99_ms: of the admitted requests of the same client beside the flood.
        flood_p99_ms: of the admitted requests of the flood, with what its generator lags behind.
        statuses: how many answers had which status.
        failures: requests without an answer.
        connected_mb: by how much resident memory grew while the flood connected and began.
        grown_mb: by how much resident memory grew from then on.
        recovery_seconds: until answers were as fast as before.
    """

    capacity: float
    offered: float
    admitted: float
    calm_p99_ms: float
    p99_ms: float
    flood_p99_ms: float
    statuses: dict[str, int]
    failures: int
    connected_mb: float
    grown_mb: float
    recovery_seconds: float

    @property
    def shed_share(self) -> float:
        """Which share of the requests was turned away."""
        return sum(self.statuses.get(str(status), 0) for status in SHED) / sum(self.statuses.values())


def run(*, quick: bool) -> list[Figure]:
    """Measure the capacity, then ask for ten times as much."""
    items, users = (QUICK_ITEMS, QUICK_USERS) if quick else (ITEMS, USERS)
    with tempfile.TemporaryDirectory() as folder:
        save_funnel(Path(folder) / "bundle", items, users)
        with serving(Path(folder) / "bundle", Path(folder), "--longest-wait", LONGEST_WAIT) as (
            port,
            process,
        ):
            found = overload(port, process, users, seconds=QUICK_SECONDS if quick else SECONDS)
    print(f"{found.capacity:.0f} requests/s at most; under overload {found.statuses}")
    strange = sum(count for status, count in found.statuses.items() if int(status) not in (OK, *SHED))
    return [
        Figure("overload_p99_vs_unloaded", found.p99_ms / found.calm_p99_ms, "", 3, at_least=False),
        Figure("overload_p99_ms", found.p99_ms, "ms"),
        Figure("unloaded_p99_ms", found.calm_p99_ms, "ms"),
        Figure("overload_flood_p99_ms", found.flood_p99_ms, "ms"),
        Figure("overload_capacity_rps", found.capacity, "requests/s"),
        Figure("overload_admitted_rps", found.admitted, "requests/s"),
        Figure("overload_times_capacity", found.offered, "", 0.95 * TIMES_CAPACITY),
        Figure("overload_shed_share", found.shed_share),
        Figure("overload_failures", found.failures + strange, "", 0, at_least=False),
        Figure("overload_connections_mb", found.connected_mb, "MB"),
        Figure("overload_memory_growth_mb", found.grown_mb, "MB", 10, at_least=False),
        Figure("overload_recovery_s", found.recovery_seconds, "s", 2, at_least=False),
    ]


def overload(port: int, process: int, users: int, *, seconds: float) -> Outcome:
    """Ask a server for more than it can give, and see whether it is as before afterwards.

    Args:
        port: of the server.
        process: its id.
        users: whose ids are drawn.
        seconds: how long.
    """
    short = max(2.0, seconds / 6)
    ask(port, users, short)  # warm
    capacity = ask(port, users, short)["rps"]
    calm = ask(port, users, max(4.0, short), CALM_SHARE * capacity, connections=CALM_CONNECTIONS)
    before = memory_mb(process)
    with ThreadPoolExecutor(1) as pool:
        rate = TIMES_CAPACITY * capacity
        flood = pool.submit(ask, port, users, seconds + WARM_SECONDS, rate, connections=FLOOD_CONNECTIONS)
        time.sleep(WARM_SECONDS)
        warm = memory_mb(process)
        probe = ask(port, users, seconds, CALM_SHARE * capacity, connections=CALM_CONNECTIONS)
        after = memory_mb(process)
        busy = flood.result()
    recovery = asyncio.run(_recovery(port, 3 * calm["p50_ms"] / 1000))
    return Outcome(
        capacity=capacity,
        offered=(busy["requests"] / busy["seconds"] + probe["requests"] / probe["seconds"]) / capacity,
        admitted=busy["rps"] + probe["rps"],
        calm_p99_ms=calm["p99_ms"],
        p99_ms=probe["p99_ms"],
        flood_p99_ms=busy["p99_ms"],
        statuses=dict(Counter(busy["statuses"]) + Counter(probe["statuses"])),
        failures=sum(busy["failures"].values()) + sum(probe["failures"].values()),
        connected_mb=warm - before,
        grown_mb=after - warm,
        recovery_seconds=recovery,
    )


def ask(
    port: int, users: int, seconds: float, rate: float | None = None, *, connections: int = CONNECTIONS
) -> dict[str, Any]:
    """Run the generator whose own share of the processors is small."""
    command = [sys.executable, "-m", "benchmarks.flood", *map(str, (port, seconds, connections, users))]
    command += [] if rate is None else [str(rate)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


async def _recovery(port: int, limit: float) -> float:
    """Seconds until a row of answers comes whose median is within a limit."""
    connection, begun, row = Connection(Target("127.0.0.1", port)), time.perf_counter(), list[float]()
    while time.perf_counter() < begun + LONGEST_RECOVERY:
        started = time.perf_counter()
        status, _ = await connection.send(Sent(0.0, b'{"user":1}'))
        row = [*row, time.perf_counter() - started] if status == OK else []
        if len(row) >= CALM_ANSWERS and statistics.median(row[-CALM_ANSWERS:]) <= limit:
            break
    connection.close()
    return time.perf_counter() - begun


def retry_after(port: int) -> Any:
    """What a request that is turned away is told, or None if none was."""
    return asyncio.run(_retry_after(port))


async def _retry_after(port: int) -> int | None:
    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
        )
        answer = await reader.read()
        writer.close()
        return answer.lower()

    for answer in await asyncio.gather(*(one() for _ in range(CLIENTS))):
        if b" 503 " in answer.split(b"\r\n")[0]:
            return int(answer.split(b"retry-after:")[1].split(b"\r\n")[0])
    return None
