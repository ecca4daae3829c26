"""PostgreSQL and Redis stopped and started again under load: what clients see, and what is lost."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import Figure
from benchmarks.serving import QUICK_USERS, save_funnel, serving
from benchmarks.store_servers import KINDS, StoreServer, missing
from shortlist.serving.loadtest import FAILURES, OK, Connection, Sent, Target
from shortlist.serving.stores import open_store

ITEMS = 2_000
USER = "writer"
OUTAGES, QUICK_OUTAGES = 10, 1
UP_SECONDS, DOWN_SECONDS = 1.0, 1.0
PAUSE_SECONDS = 0.02  # between two requests of a client
LONGEST_RECOVERY = 30.0


@dataclass
class Outcome:
    """What outages did.

    Args:
        outages: how many.
        acknowledged: ids of the events that the server said were kept.
        events: how many requests with events had which status.
        lists: how many requests for lists had which status; 0 for no answer.
        longest_seconds: of any answer.
        recovery_seconds: from when the database answered again to the next kept event, of each outage.
        lost: acknowledged events that are not in the store.
    """

    outages: int = 0
    acknowledged: list[str] = field(default_factory=list)
    events: Counter[int] = field(default_factory=Counter)
    lists: Counter[int] = field(default_factory=Counter)
    longest_seconds: float = 0.0
    recovery_seconds: list[float] = field(default_factory=list)
    lost: int = 0


def run(*, quick: bool) -> list[Figure]:
    """Both databases; one that is not installed is left out."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        save_funnel(Path(folder) / "bundle", ITEMS, QUICK_USERS)
        for kind, make in KINDS.items():
            if missing(kind):
                print(missing(kind))
                continue
            database = make(Path(folder) / kind)
            database.start()
            try:
                with serving(Path(folder) / "bundle", Path(folder), "--store", database.address) as (port, _):
                    found = outages(port, database, count=QUICK_OUTAGES if quick else OUTAGES)
            finally:
                database.kill()
            print(f"{kind}: events {dict(found.events)}, lists {dict(found.lists)}")
            strange = found.lists.total() - found.lists[OK]
            figures += [
                Figure(f"{kind}_events_lost", found.lost, "", 0, at_least=False),
                Figure(f"{kind}_events_kept", len(found.acknowledged), "events"),
                Figure(f"{kind}_lists_failed", strange, "", 0, at_least=False),
                Figure(f"{kind}_longest_answer_s", found.longest_seconds, "s"),
                Figure(f"{kind}_recovery_s", max(found.recovery_seconds), "s", 2, at_least=False),
            ]
    return figures


def outages(port: int, database: StoreServer, *, count: int) -> Outcome:
    """Kill a database and start it again while clients ask and write.

    Args:
        port: of a server whose store the database is.
        database: that is killed.
        count: how many times.
    """
    return asyncio.run(_outages(Target("127.0.0.1", port), database, count))


async def _outages(target: Target, database: StoreServer, count: int) -> Outcome:
    outcome, done = Outcome(), asyncio.Event()
    clients = [asyncio.create_task(each(target, outcome, done)) for each in (_write, _ask)]
    for _ in range(count):
        await asyncio.sleep(UP_SECONDS)
        await asyncio.to_thread(database.kill)
        await asyncio.sleep(DOWN_SECONDS)
        await asyncio.to_thread(database.start)
        started, before = time.perf_counter(), len(outcome.acknowledged)
        while len(outcome.acknowledged) == before and time.perf_counter() < started + LONGEST_RECOVERY:
            await asyncio.sleep(PAUSE_SECONDS)
        outcome.recovery_seconds.append(time.perf_counter() - started)
        outcome.outages += 1
    done.set()
    await asyncio.gather(*clients)
    store = open_store(database.address)
    kept = {event.id for event in store.export_user(USER).events}
    store.close()
    outcome.lost = len(set(outcome.acknowledged) - kept)
    return outcome


async def _write(target: Target, outcome: Outcome, done: asyncio.Event) -> None:
    """Send events one by one, each until it is acknowledged, as a client does that wants to lose none."""
    connection, number = Connection(target), 0
    while not done.is_set():
        id_ = f"event-{number}"
        body = json.dumps(
            {"events": [{"id": id_, "user": USER, "item": "1", "time": 1000 + number}]}
        ).encode()
        status = await _timed(connection, Sent(0.0, body, "/v1/events"), outcome)
        outcome.events[status] += 1
        if status == OK:
            outcome.acknowledged.append(id_)
            number += 1
        await asyncio.sleep(PAUSE_SECONDS)
    connection.close()


async def _ask(target: Target, outcome: Outcome, done: asyncio.Event) -> None:
    connection = Connection(target)
    while not done.is_set():
        outcome.lists[await _timed(connection, Sent(0.0, b'{"user":1}'), outcome)] += 1
        await asyncio.sleep(PAUSE_SECONDS)
    connection.close()


async def _timed(connection: Connection, request: Sent, outcome: Outcome) -> int:
    started = time.perf_counter()
    try:
        status, _ = await connection.send(request)
    except FAILURES:
        status = 0
    outcome.longest_seconds = max(outcome.longest_seconds, time.perf_counter() - started)
    return status
