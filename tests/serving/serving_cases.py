"""What the tests of the server share: a small shop, and a client in the same process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.store_servers import Postgres, Redis
from planted import CANDIDATE, parts
from starlette.testclient import TestClient

from shortlist.data import History, Id
from shortlist.funnel import Funnel
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import EASE, TwoTower
from shortlist.nn import Tower
from shortlist.postrank import Diversity, Exclude
from shortlist.tasks import Retrieval


class Client(TestClient):
    """A client that names this machine, as the server asks for."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, base_url="http://127.0.0.1", raise_server_exceptions=False, **options)


def save_shop(folder: Path) -> Path:
    """Two bundles of the planted shop; in the second, nothing of the group `"red"` is shown."""
    train, _ = parts()
    towers = TwoTower(
        Tower([Id("user_id"), History("item_id", length=20)], dim=8),
        Tower(CANDIDATE, dim=8),
        task=Retrieval(temperature=0.2),
    )
    towers.fit(train, epochs=15, batch_size=128, learning_rate=0.02)
    retrieve = [Nearest(towers, 20, "towers"), Nearest(EASE(l2=20).fit(train), 20, "ease"), Popular(20)]
    Funnel(retrieve=retrieve, postrank=[Diversity(0.1)], size=6).save(folder / "first")
    rules = [Exclude(where="\"group\" = 'red'"), Diversity(0.1)]
    Funnel(retrieve=retrieve, postrank=rules, size=6).save(folder / "second")
    return folder


def empty(server: Postgres | Redis) -> None:
    """Take everything out of a database."""
    if isinstance(server, Redis):
        import redis

        redis.Redis.from_url(server.address).flushall()
        return
    import psycopg

    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def within_a_second(holds: Callable[[], bool]) -> bool:
    """Whether something comes true within a second."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return holds()
