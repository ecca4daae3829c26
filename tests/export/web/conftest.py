"""The app of made-up films, served, and a browser; skipped where there is no browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from export.web.web_cases import Site, cinema, save_app
from serving.console.console_cases import PHONE, Watched, chromium, chromium_path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Closed before the next file: while it is open, no other event loop runs in this thread."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chromium_path()  # without one, nothing need be written
    return save_app(cinema(), tmp_path_factory.mktemp("cinema"))


@pytest.fixture
def site(app_folder: Path) -> Iterator[Site]:
    served = Site(app_folder)
    yield served
    served.stop()


@pytest.fixture
def page(browser: Any, site: Site) -> Iterator[Any]:
    """A phone; at the end, nothing was logged and nobody else was asked."""
    watched = Watched(browser, site.address, viewport=PHONE)
    yield watched.page
    watched.context.close()
    assert watched.wrong == []
