"""A server under load, attack and outages: what it owes to clients holds. Long forms are in `benchmarks`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks.fuzz import fuzz
from benchmarks.hot_swap import swap_under_load
from benchmarks.outages import outages
from benchmarks.overload import retry_after
from benchmarks.serving import memory_mb
from benchmarks.store_servers import Postgres, Redis
from serving.serving_cases import empty
from serving.test_serve_command import serving

from shortlist.serving.loadtest import OK, SHED, Load, Sent, Target, arrivals, replay, saturate

Running = tuple[int, int]


@pytest.fixture(scope="module")
def running(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that turns away early: its port and its process."""
    folder = tmp_path_factory.mktemp("under-load")
    options = ["--store", f"sqlite:///{folder / 'store.db'}", "--log", folder / "log.jsonl"]
    options += ["--longest-wait", "0.005", "--budget", "20"]
    with serving(shop / "first", *map(str, options)) as (address, process):
        yield int(address.rsplit(":", 1)[1]), process.pid


def some_user(random_: random.Random) -> Sent:
    return Sent(0.0, b'{"user":"u%03d"}' % random_.randrange(80))


def one_by_one(port: int) -> Load:
    return asyncio.run(saturate(Target("127.0.0.1", port), 1.0, connections=1, draw=some_user))


def far_too_many(port: int) -> Load:
    return asyncio.run(replay(Target("127.0.0.1", port), arrivals(2000, 1.0, some_user), connections=64))


def test_more_than_it_can_answer_is_turned_away_and_told_when_to_come_again(running: Running):
    port, process = running
    one_by_one(port)
    calm, before = one_by_one(port), memory_mb(process)
    busy = far_too_many(port)
    after = one_by_one(port)
    assert retry_after(port) == 1
    assert busy.failures == {}
    assert set(busy.statuses) == {OK, SHED[1]}
    assert memory_mb(process) - before < 50
    assert set(after.statuses) == {OK}
    assert after.quantile(0.5) < 5 * calm.quantile(0.5)


def test_bundles_are_swapped_under_load_without_a_failure_or_a_mixture(running: Running):
    port, _ = running
    users = [f"u{number:03}" for number in range(10)]
    found = swap_under_load(port, ("first", "second"), swaps=6, users=users, asking=1)
    assert found.failed == {}
    assert found.mixed == 0
    assert found.answers > 10
    assert len(found.bundles) == 2


def test_strange_requests_leave_the_server_up(running: Running):
    port, _ = running
    statuses = fuzz(port, 400, seed=1)
    assert statuses[500] == 0
    assert statuses[400] > 20
    assert statuses[200] > 5


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_a_database_may_go_and_come_back(kind: str, shop: Path, database: Callable[[str], Postgres | Redis]):
    server = database(kind)
    empty(server)
    with serving(shop / "first", "--store", server.address) as (address, _):
        found = outages(int(address.rsplit(":", 1)[1]), server, count=1)
    assert found.lost == 0
    assert len(found.acknowledged) > 5
    assert set(found.lists) == {OK}
    assert set(found.events) == {OK, 503}
    assert found.longest_seconds < 10
    assert found.recovery_seconds[0] < 5
