"""A device export in headless Chromium: how long an answer takes, and whether it is Python's.

`benchmarks.device` makes the export and the lists of the Python runtime, and adds these figures to its own.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure
from shortlist.export.web import write_app

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "web" / "node_modules" / "onnxruntime-web"
TARGET_MS = 20
OPTIONS = ("--disable-background-networking", "--no-first-run", "--disable-sync")
# Answers that do not count come first: the browser compiles what runs often.
ANSWERS = """async ({ histories, options }) => {
  const { load } = await import("./device/index.js");
  const device = await load("model/");
  for (const history of histories.slice(0, 20)) await device.recommend(history, options);
  const answers = [], milliseconds = [];
  for (const history of histories) {
    const began = performance.now();
    const found = await device.recommend(history, options);
    milliseconds.push(performance.now() - began);
    answers.push(found.map((each) => each.id));
  }
  return { answers, milliseconds };
}"""


def figures(
    export: Path,
    histories: Sequence[Sequence[Any]],
    expected: Sequence[Sequence[Any]],
    *,
    context: Mapping[str, Any] | None = None,
) -> list[Figure]:
    """Measure the browser.

    Args:
        export: the folder of an export for devices.
        histories: of some people, ids from the oldest on.
        expected: for each, the ids that the Python runtime recommends.
        context: of every request, as the Python runtime was given it.

    Returns:
        `browser_ms`, the median answer; and `browser_equal`, the share of lists that are Python's.
    """
    size = max(map(len, expected))
    asked = {
        "histories": [list(each) for each in histories],
        "options": {"k": size, "context": dict(context or {})},
    }
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        write_app(export, app, runtime=PACKAGE if PACKAGE.is_dir() else None)
        with serving(app) as address, browser_page(address) as page:
            found = page.evaluate(ANSWERS, asked)
    equal = [list(a) == list(b) for a, b in zip(found["answers"], expected, strict=True)]
    taken = found["milliseconds"]
    return [
        Figure(
            "browser_ms",
            statistics.median(taken),
            "ms",
            TARGET_MS,
            at_least=False,
            spread=(min(taken), max(taken)),
        ),
        Figure("browser_equal", sum(equal) / len(equal), "", 1.0),
    ]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server of a folder's files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def browser_page(address: str) -> Iterator[Any]:
    """A page of headless Chromium that shows an address."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("SHORTLIST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        raise SystemExit("there is no Chromium: apt-get install chromium, or set SHORTLIST_CHROMIUM")
    options = [*OPTIONS, "--no-sandbox"] if os.geteuid() == 0 else [*OPTIONS]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("section[aria-busy=false]")
        yield page
        browser.close()
