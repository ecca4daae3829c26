"""A newer export is fetched as what changed of it, and applied whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from device_cases import NEAREST, make_case

from shortlist.errors import BundleError, ConfigError
from shortlist.export import Device, Fetched, update

OLD = make_case()
# Another table and another column: two files of four differ.
NEW = replace(
    OLD,
    tables={**OLD.tables, "popularity": OLD.tables["popularity"][::-1].copy()},
    columns={**OLD.columns, "title": [f"New {row}" for row in range(1, 41)]},
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return OLD.write(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return NEW.write(tmp_path / "new")


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def paths_of(folder: Path) -> dict[str, str]:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    return {name: each["path"] for name, each in files.items()}


@dataclass
class Site:
    """A server of a folder that notes what is asked of it."""

    address: str
    asked: list[str] = field(default_factory=list)


class Handler(SimpleHTTPRequestHandler):
    """Serves files, and some strange answers."""

    def __init__(self, *arguments, site: Site, **named) -> None:
        self.site = site
        super().__init__(*arguments, **named)

    def do_GET(self) -> None:
        self.site.asked.append(self.path)
        if self.path.startswith("/elsewhere/"):
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *arguments) -> None:
        """Say nothing."""


@pytest.fixture
def site(new: Path) -> Iterator[Site]:
    """The new export behind an address."""
    site = Site("")
    handler = partial(Handler, site=site, directory=str(new))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        site.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def test_only_what_changed_is_fetched(old, site, new):
    kept = (old / paths_of(old)["vectors"]).stat().st_mtime_ns
    fetched = update(old, site.address)
    changed = {f"/{paths_of(new)[name]}" for name in ("popularity", "items")}
    assert set(site.asked) == {"/manifest.json", *changed}
    size = sum((new / path[1:]).stat().st_size for path in changed)
    assert fetched == Fetched(files=2, bytes=size, kept=2)
    assert content_of(old) == content_of(new)
    assert (old / paths_of(old)["vectors"]).stat().st_mtime_ns == kept


def test_a_folder_is_a_source_too(old, new):
    assert update(old, new).files == 2
    assert content_of(old) == content_of(new)


def test_an_export_that_is_up_to_date_stays(old, tmp_path):
    same = Path(shutil.copytree(old, tmp_path / "same"))
    before = content_of(old)
    assert update(old, same) == Fetched(files=0, bytes=0, kept=4)
    assert content_of(old) == before


def test_a_damaged_file_that_is_there_is_fetched_again(old, site):
    file = old / paths_of(old)["vectors"]
    file.write_bytes(b"damaged")
    assert update(old, site.address).files == 3
    Device.load(old)


def test_a_device_goes_on_with_what_it_was_told(old, new):
    device = Device.load(old)
    device.adapt(liked=[103, 109], disliked=[104])
    fresh = device.update(new)
    other = Device.load(new)
    other.adapt(liked=[103, 109], disliked=[104])
    assert fresh.recommend([101]) == other.recommend([101])
    assert next(iter(fresh.recommend([101])))["title"].startswith("New")
    assert next(iter(device.recommend([101])))["title"].startswith("Title")


def test_what_was_told_follows_the_items_and_not_their_rows(tmp_path):
    # Popularity has ties, whose order is that of the rows.
    alone = replace(OLD, retrieve=(NEAREST,))
    order = np.random.default_rng(1).permutation(40)
    rows = np.concatenate([[0], order + 1])
    moved = replace(
        alone,
        ids=[OLD.ids[place] for place in order],
        columns={name: [values[place] for place in order] for name, values in OLD.columns.items()},
        tables={name: table[rows] for name, table in OLD.tables.items()},
    )
    device = Device.load(alone.write(tmp_path / "export"))
    device.adapt(disliked=[104], liked=[103])
    before = device.recommend([101], k=30)
    fresh = device.update(moved.write(tmp_path / "moved"))
    assert fresh.recommend([101], k=5).items == before.items[:5]


def failing(old: Path, source: str | Path, problem: str, kind: type[Exception] = BundleError) -> None:
    """An update fails and says why; the old export stays as it is."""
    before = content_of(old)
    with pytest.raises(kind, match=problem):
        update(old, source)
    after = content_of(old)
    assert {path: after[path] for path in before} == before
    assert not any(path.endswith(".part") for path in after)
    assert Device.load(old).recommend([101]).items


def test_a_partial_export_is_refused(old, new):
    (new / paths_of(new)["items"]).unlink()
    failing(old, new, "cannot be read: No such file")


def test_a_damaged_export_is_refused(old, new):
    file = new / paths_of(new)["popularity"]
    content = bytearray(file.read_bytes())
    content[3] ^= 4
    file.write_bytes(bytes(content))
    failing(old, new, "checksum differs")


def test_a_file_that_goes_on_and_on_is_not_read_to_its_end(old, new, site):
    with (new / paths_of(new)["items"]).open("ab") as stream:
        stream.truncate(1 << 31)
    failing(old, site.address, "more than its")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "format 2"),
        ({"kind": "something"}, "something"),
        ({"files": {}}, "not a device export"),
        ({"retrieve": []}, "no retriever"),
    ],
)
def test_a_newer_or_foreign_manifest_is_refused(old, new, change, problem):
    manifest = json.loads((new / "manifest.json").read_text()) | change
    (new / "manifest.json").write_text(json.dumps(manifest))
    failing(old, new, problem)


@pytest.mark.parametrize("content", ["", "{", "[]", "x" * (5 << 20)])
def test_a_manifest_that_is_none_is_refused(old, new, content):
    (new / "manifest.json").write_text(content)
    failing(old, new, "JSON|object|more than 4,194,304 bytes")


def test_an_export_that_no_device_could_hold_is_not_fetched(old, new, site):
    manifest = json.loads((new / "manifest.json").read_text())
    manifest["files"]["items"]["bytes"] = 3 << 30
    (new / "manifest.json").write_text(json.dumps(manifest))
    failing(old, site.address, "more than 2,147,483,648")
    assert site.asked == ["/manifest.json"]


def test_an_address_that_answers_otherwise_is_named(old, site):
    failing(old, f"{site.address}/absent", "the server answers 404.*absent/manifest.json")
    failing(old, f"{site.address}/elsewhere", "cannot be fetched|the server answers 302")
    failing(old, "http://127.0.0.1:1/", "the file cannot be fetched")
    failing(old, "http://", "the file cannot be fetched")


def test_other_kinds_of_address_are_refused(old):
    failing(old, "ftp://example.org/model", "the kind 'ftp'", ConfigError)
    failing(old, "file:///tmp/model", "the kind 'file'", ConfigError)


def test_only_an_export_is_brought_up_to_date(new, tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(BundleError, match=r"manifest\.json"):
        update(tmp_path / "other", new)
    assert not any((tmp_path / "other").iterdir())


def test_an_update_that_is_killed_leaves_the_old_export_and_goes_on_later(old, new, tmp_path):
    # The source is a pipe: the update waits at the second changed file for what never comes.
    source = Path(shutil.copytree(new, tmp_path / "source"))
    first, last = [path for path in paths_of(new).values() if path not in paths_of(old).values()]
    (source / last).unlink()
    os.mkfifo(source / last)
    before = content_of(old)
    code = "import sys; from shortlist.export import update; update(*sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, str(old), str(source)])
    try:
        deadline = time.monotonic() + 20
        while not (old / first).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    after = content_of(old)
    assert {path: after[path] for path in before} == before
    assert Device.load(old).recommend([101]) == Device.load(OLD.write(tmp_path / "again")).recommend([101])
    assert update(old, new).files == 1
    assert content_of(old) == content_of(new)
