"""Real database servers on loopback, and a server of the small planted shop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks.store_servers import KINDS, Postgres, Redis, missing
from serving.serving_cases import Client, empty, save_shop

from shortlist.serving import ServerSettings, create_app
from shortlist.serving.stores import Store, open_store


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Postgres | Redis]]:
    """Starts a database server when first asked for it; skips where it is not installed."""
    running: dict[str, Postgres | Redis] = {}

    def start(kind: str) -> Postgres | Redis:
        if missing(kind):
            pytest.skip(missing(kind))
        if kind not in running:
            running[kind] = KINDS[kind](tmp_path_factory.mktemp(kind))
            running[kind].start()
        return running[kind]

    yield start
    for server in running.values():
        server.kill()


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def address(
    request: pytest.FixtureRequest, tmp_path: Path, database: Callable[[str], Postgres | Redis]
) -> str:
    """The address of an empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server = database(request.param)
    empty(server)
    return server.address


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = open_store(address)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two bundles of the planted shop, `first` and `second`."""
    return save_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def client(shop: Path, tmp_path: Path) -> Iterator[Client]:
    """A server of the first bundle, without keys, and a client of it in this process."""
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'store.db'}", budget=30.0, longest_wait=30.0)
    with Client(create_app(shop / "first", settings)) as made:
        yield made
