"""A shop on a device: its app, a server of files that can be stopped, and a page to look at it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from export.device_cases import RANK, Case, make_case
from serving.console.console_cases import CONTRASTS, barriers, expect

from shortlist.export.web import write_app

REPOSITORY = Path(__file__).resolve().parents[3]
ARTEFACTS = REPOSITORY / "artefacts" / "device"
PACKAGE = REPOSITORY / "web" / "node_modules" / "onnxruntime-web"
ITEMS = 400
WORDS = ["River", "Stone", "Winter", "Garden", "Harbour", "Island", "Thunder", "Mirror", "Velvet"]
WORDS += ["Copper", "Falcon", "Orchard", "Lantern", "Meadow", "Signal", "Ember"]
GENRES = ["Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Romance", "Thriller"]
RULES: tuple[dict[str, Any], ...] = (
    {"kind": "Freshness", "half_life": "60d", "strength": 0.2, "column": "released"},
    {"kind": "Diversity", "strength": 0.2, "method": "mmr"},
    {"kind": "Cap", "column": "genres", "at_most": 6, "fill": True},
)


def cinema(*, seed: int = 1, **settings: Any) -> Case:
    """An export of made-up films with a ranker and rules, int8 vectors as on a phone."""
    case = make_case(
        items=ITEMS,
        dim=16,
        seed=seed,
        size=12,
        **{
            "rank": replace(RANK, keep=60),
            "postrank": RULES,
            "encodings": {"vectors": "int8", "rank_items": "int4"},
            **settings,
        },
    )
    random = np.random.default_rng(0)
    words = random.choice(WORDS, (ITEMS, 2))
    case.columns["title"] = [
        f"{first} {second} ({1960 + row % 60})" for row, (first, second) in enumerate(words)
    ]
    case.columns["genres"] = [
        random.choice(GENRES, random.integers(1, 4), replace=False).tolist() for _ in range(ITEMS)
    ]
    return case


def save_app(case: Case, folder: Path) -> Path:
    """The app of an export, in `folder/app`; the export itself is in `folder/model`."""
    write_app(case.write(folder / "model"), folder / "app", runtime=PACKAGE if PACKAGE.is_dir() else None)
    return folder / "app"


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of a file is no error."""


class Site:
    """A server of files on a free port, which notes what it was asked for.

    Args:
        folder: what to serve; can be changed while it runs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        self.port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

            def translate_path(self, path: str) -> str:
                site.asked.append(path.partition("?")[0].lstrip("/"))
                self.directory = str(site.folder)
                return super().translate_path(path)

            def end_headers(self) -> None:
                self.send_header("Cache-Control", "no-cache")
                super().end_headers()

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def open_app(page: Any, address: str) -> None:
    """Go to the app and wait for its list."""
    page.goto(address)
    page.wait_for_selector("section[aria-busy=false] .list li")


def installed(page: Any) -> None:
    """Wait until everything is on the device."""
    expect(page.locator("#state")).to_contain_text("Works without a network")


def titles(page: Any) -> list[str]:
    return page.locator("#list .link").all_inner_texts()


def settled(page: Any, act: Callable[[], Any]) -> list[str]:
    """Do something that changes the list, and give the new one."""
    before = titles(page)
    act()
    expect(page.locator("#list .link")).not_to_have_text(before)
    return titles(page)


def pick(page: Any, text: str) -> str:
    """Search for a title and take the first that is found; its title."""
    page.fill("#pick", text)
    found = page.locator("#pick-list li span").first.inner_text()
    settled(page, lambda: page.press("#pick", "Enter"))
    return found


def check_picture(page: Any, name: str) -> None:
    """Keep pictures; in both themes all text has the contrast of WCAG 2.2 AA, and axe finds no barrier."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.mouse.move(0, 0)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.screenshot(path=ARTEFACTS / f"{name}-{theme}.png")
        faint = [(round(ratio, 2), text) for ratio, text in page.evaluate(CONTRASTS) if ratio < 4.5]
        assert faint == []
    assert barriers(page) == []


def offline_noise(text: str) -> bool:
    """Whether the browser itself logs that the server is gone, when it looks for a new service worker."""
    return "ERR_CONNECTION_REFUSED" in text or "ERR_INTERNET_DISCONNECTED" in text
