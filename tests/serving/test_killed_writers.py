"""Processes that are killed with SIGKILL while events are written: what was acknowledged is there, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.durability import kill_rounds
from benchmarks.store_servers import Postgres, Redis
from serving.serving_cases import empty

from shortlist.errors import StoreError
from shortlist.serving.stores import Event, open_store


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "redis"])
def test_no_acknowledged_event_is_lost_or_doubled(
    kind: str, tmp_path: Path, database: Callable[[str], Postgres | Redis]
):
    server = None if kind == "sqlite" else database(kind)
    if server is not None:
        empty(server)
    address = f"sqlite:///{tmp_path / 'store.db'}" if server is None else server.address
    outcome = kill_rounds(address, server, rounds=3)
    assert outcome.acknowledged >= 3 * 60
    assert (outcome.lost, outcome.doubled) == (0, 0)


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_a_store_finds_its_server_again(kind: str, database: Callable[[str], Postgres | Redis]):
    server = database(kind)
    empty(server)
    store = open_store(server.address)
    store.add_events([Event("1", "ann", "i", 1)])
    server.kill()
    started = time.monotonic()
    with pytest.raises(StoreError, match="check that the server is up"):
        store.add_events([Event("2", "ann", "i", 2)])
    assert time.monotonic() - started < 5
    server.start()
    assert store.add_events([Event("2", "ann", "i", 2)]) == [True]
    assert [each.id for each in store.histories(["ann"], 5)["ann"]] == ["1", "2"]
    store.close()
