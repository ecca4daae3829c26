"""A server of made-up films and a browser that looks at its console; skipped where there is no browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving.console.console_cases import Watched, chromium, chromium_path, listening, save_cinema

from shortlist.serving import ServerSettings, create_app


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Closed before the next file: while it is open, no other event loop runs in this thread."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def cinema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chromium_path()  # without one, nothing need be trained
    return save_cinema(tmp_path_factory.mktemp("cinema"))


@pytest.fixture(scope="module")
def app(cinema: Path) -> Any:
    settings = ServerSettings(store=f"sqlite:///{cinema / 'store.db'}", budget=30.0, longest_wait=30.0)
    return create_app(cinema / "autumn", settings)


@pytest.fixture(scope="module")
def address(app: Any) -> Iterator[str]:
    with listening(app) as there:
        yield there


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The console at a desk; at the end, nothing was logged and nobody else was asked."""
    watched = Watched(browser, address)
    yield watched.page
    watched.context.close()
    assert watched.wrong == []
