"""Kill -9 under write load, round after round: which acknowledged events are lost, which come twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Figure
from benchmarks.store_servers import KINDS, StoreServer, missing
from shortlist.errors import StoreError
from shortlist.serving.stores import Event, open_store

USER = "writer"
BATCH = 20
WAIT_SECONDS = 0.02  # before a batch that failed is sent again
ROUNDS, QUICK_ROUNDS = 200, 4
FEWEST_BATCHES = 3  # that a round must have kept before it is killed


@dataclass
class Outcome:
    """What some rounds showed.

    Args:
        rounds: how many.
        acknowledged: events that the store said were kept.
        lost: of these, those that it then did not have.
        doubled: events that it had twice.
    """

    rounds: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0


def run(*, quick: bool) -> list[Figure]:
    """All stores; where a server is not installed, its rounds are left out."""
    outcomes: dict[str, Outcome] = {}
    for kind in ("sqlite", *KINDS):
        if kind != "sqlite" and missing(kind):
            print(missing(kind))
            continue
        with tempfile.TemporaryDirectory() as folder, started(kind, Path(folder)) as (address, server):
            outcomes[kind] = kill_rounds(address, server, rounds=QUICK_ROUNDS if quick else ROUNDS)
    total = list(outcomes.values())
    figures = [
        Figure("events_lost", sum(each.lost for each in total), target=0, at_least=False),
        Figure("events_doubled", sum(each.doubled for each in total), target=0, at_least=False),
        Figure("rounds", min(each.rounds for each in total), target=None if quick else ROUNDS),
    ]
    return figures + [
        Figure(f"{kind}_acknowledged", each.acknowledged, "events") for kind, each in outcomes.items()
    ]


@contextmanager
def started(kind: str, folder: Path) -> Iterator[tuple[str, StoreServer | None]]:
    """The address of an empty store, and its server, if it has one."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'store.db'}", None
        return
    server = KINDS[kind](folder / kind)
    server.start()
    try:
        yield server.address, server
    finally:
        server.kill()


def kill_rounds(address: str, server: StoreServer | None, *, rounds: int, seed: int = 0) -> Outcome:
    """Write, kill, start again and look, some times over.

    Where there is no server, the process that writes is killed; else all processes of the server, while the
    writer goes on, and then the writer.

    Args:
        address: of an empty store.
        server: that runs it, or None.
        rounds: how many.
        seed: of the moments.
    """
    draw, outcome = random.Random(seed), Outcome()
    for number in range(rounds):
        _round(address, server, f"r{number}", draw, outcome)
    return outcome


def _round(
    address: str, server: StoreServer | None, prefix: str, draw: random.Random, outcome: Outcome
) -> None:
    reading, writing = os.pipe()
    writer = os.fork()  # a new interpreter would spend seconds on its imports
    if writer == 0:
        with contextlib.suppress(BaseException):
            os.close(reading)
            _write(address, prefix, writing)
        os._exit(1)
    os.close(writing)
    with open(reading, "rb") as kept:
        last = [int(kept.readline()) for _ in range(FEWEST_BATCHES)][-1]
        time.sleep(draw.uniform(0, 0.05))
        if server is not None:
            server.kill()
            server.start()
            time.sleep(draw.uniform(0, 0.1))  # the writer finds the server again by itself
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        complete = [int(line) for line in kept.read().split(b"\n")[:-1]]  # the last may be half a number
    last = max([last, *complete])
    outcome.rounds += 1
    outcome.acknowledged += last + 1
    _look(address, prefix, last, outcome)


def _write(address: str, prefix: str, pipe: int) -> None:
    """Write without end, and say which event was the last that the store kept."""
    store, number = open_store(address), 0
    while True:
        try:
            store.add_events(_events(prefix, number, number + BATCH))
        except StoreError:
            time.sleep(WAIT_SECONDS)
            continue
        number += BATCH
        os.write(pipe, f"{number - 1}\n".encode())


def _look(address: str, prefix: str, last: int, outcome: Outcome) -> None:
    store = open_store(address)
    store.add_events(_events(prefix, last + 1, last + 1 + BATCH))  # as a client does that got no answer
    counts = Counter(event.id for event in store.export_user(USER).events)
    outcome.lost += sum(f"{prefix}-{number}" not in counts for number in range(last + 1 + BATCH))
    outcome.doubled += sum(count > 1 for count in counts.values())
    store.erase_user(USER)
    store.close()


def _events(prefix: str, start: int, end: int) -> list[Event]:
    return [Event(f"{prefix}-{number}", USER, f"i{number}", 1000 + number) for number in range(start, end)]
