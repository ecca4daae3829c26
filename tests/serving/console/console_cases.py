"""A shop worth looking at, its server on a free port, and a browser to look with."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from shortlist.data import History, Id, Tags, Text
from shortlist.datasets import synthetic
from shortlist.funnel import Funnel, rank, save_bundle
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import EASE, Ranker, TwoTower
from shortlist.nn import Tower
from shortlist.postrank import Cap, Diversity, Exclude, Freshness

ARTEFACTS = Path(__file__).resolve().parents[3] / "artefacts" / "console"
CHROMIUM = "SHORTLIST_CHROMIUM"  # the browser's path; where it is set, tests fail rather than skip
DESK, PHONE = {"width": 1440, "height": 1000}, {"width": 360, "height": 740}
PATIENCE = 30_000  # milliseconds that something may take on a busy machine
OPTIONS = ("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")


def save_cinema(folder: Path) -> Path:
    """Two bundles of made-up films: `autumn` with every kind of stage, `winter` with a plain list."""
    data = synthetic(users=120, items=300, events=5_000)
    earlier, recent = data.split_leave_last_out(count=2)
    ranker = Ranker(candidate=[Tags("genres")], scores=["score_towers", "score_ease"])
    rank.fit(ranker, _retrievers(earlier, epochs=1), recent, epochs=2)
    retrievers = _retrievers(data, epochs=4)
    rules = [Exclude(where="year < 2019"), Freshness("365d", strength=0.2), Diversity(0.1), Cap("genres", 3)]
    autumn = Funnel(retrieve=retrievers, rank=rank.Scored(ranker, keep=60), postrank=rules, size=10)
    save_bundle(autumn, folder / "autumn", metrics={"recall@10": 0.183, "ndcg@10": 0.097})
    save_bundle(Funnel(retrieve=retrievers, size=10), folder / "winter", metrics={"recall@10": 0.176})
    return folder


def _retrievers(data: Any, *, epochs: int) -> list[Any]:
    towers = TwoTower(
        Tower([Id("user_id"), History("item_id", length=20)], dim=16),
        Tower([Id("item_id"), Text("title"), Tags("genres")], dim=16),
    )
    towers.fit(data, epochs=epochs, batch_size=256, learning_rate=0.02)
    return [Nearest(towers, 80, "towers"), Nearest(EASE(l2=50).fit(data), 60, "ease"), Popular(40)]


@contextmanager
def listening(app: Starlette) -> Iterator[str]:
    """An application on a free port, in a thread; its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as place:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{place.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def chromium_path() -> str:
    """Where a browser is; skips where there is none, unless one is promised."""
    promised = os.environ.get(CHROMIUM)
    path = promised or shutil.which("chromium")
    if path is None:
        pytest.skip(f"there is no Chromium: apt-get install chromium, or set {CHROMIUM}")
    if promised is None:
        pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser")
    return path


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    path = chromium_path()
    from playwright.sync_api import sync_playwright

    options = [*OPTIONS, "--no-sandbox"] if os.geteuid() == 0 else OPTIONS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*options])
        yield browser
        browser.close()


def expect(something: Any) -> Any:
    """Playwright's assertions, which wait until they hold."""
    from playwright.sync_api import expect as waiting

    waiting.set_options(timeout=PATIENCE)
    return waiting(something)


class Watched:
    """A page in which everything that should not happen is noted."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        options = {"viewport": DESK, "reduced_motion": "reduce", "locale": "en-GB", **options}
        self.context = browser.new_context(**options)
        self.page, self.wrong = self.context.new_page(), list[str]()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda sent: sent.url.startswith(address) or self.wrong.append(sent.url))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)


def visit(page: Any, address: str, user: str = "u007") -> None:
    page.goto(f"{address}/#lists/{user}")
    page.wait_for_selector(".list li")


def titles(page: Any) -> list[str]:
    return page.locator(".list .link").all_inner_texts()


def settle(page: Any) -> None:
    """Wait until what was asked for is shown."""
    page.wait_for_selector("#lists:not([aria-busy])")


def answer(page: Any, address: str, **request: Any) -> dict[str, Any]:
    return page.request.post(f"{address}/v1/recommend", data=request).json()


def tab_to(page: Any, selector: str) -> None:
    """Press the tabulator until something has the focus, which can be seen all the way."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue  # between the end of the page and its beginning
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")


def check_view(page: Any, name: str) -> None:
    """Keep a picture; all text has the contrast of WCAG 2.2 AA, and axe finds no barrier."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
    faint = [(round(ratio, 2), text) for ratio, text in page.evaluate(CONTRASTS) if ratio < 4.5]
    assert faint == []
    assert barriers(page) == []


def barriers(page: Any) -> list[str]:
    """What axe finds wrong for people who use a keyboard, a screen reader or little sight."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


# How much lighter text is than what lies behind it, or the reverse, for each text that is seen.
CONTRASTS = """() => {
  const parse = (text) => {
    const numbers = text.match(/-?[\\d.]+(e-?\\d+)?/g).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [numbers[0] * scale, numbers[1] * scale, numbers[2] * scale, numbers[3] ?? 1];
  };
  const mix = (top, under, share) => top.map((value, place) => value * share + under[place] * (1 - share));
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const layers = [];
    for (let each = node; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((under, each) => mix(each.slice(0, 3), under, each[3]), [255, 255, 255]);
  };
  const root = document.querySelector("dialog[open]") ?? document.body;
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), found = [];
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement, style = getComputedStyle(node);
    const unseen = node.closest("[disabled], .hidden, .skip, dialog:not([open])") || !node.checkVisibility();
    if (unseen || !texts.currentNode.data.trim()) continue;
    let share = 1;
    for (let each = node; each; each = each.parentElement) share *= Number(getComputedStyle(each).opacity);
    const ground = behind(node), colour = parse(style.color);
    const a = light(mix(colour.slice(0, 3), ground, share * colour[3])), b = light(ground);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([ratio, texts.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}"""
