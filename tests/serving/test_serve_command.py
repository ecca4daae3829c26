"""`shortlist serve` as a process: it answers, and finishes what it has begun before it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from cli.cli_cases import shortlist

import shortlist as package
from shortlist.errors import BundleError
from shortlist.serving import ServerSettings, create_app

RUN = "from shortlist.cli import main; main()"


@contextmanager
def serving(bundle: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server on a free port, and its address."""
    command = [sys.executable, "-c", RUN, "serve", str(bundle), "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parent.parent)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("listening on "), line + process.stderr.read()
        yield line.split()[-1], process
    finally:
        process.kill()
        process.wait()


def test_a_server_that_is_told_to_stop_finishes_what_it_has_begun(shop: Path, tmp_path: Path):
    with serving(shop / "first", "--store", f"sqlite:///{tmp_path / 'store.db'}") as (address, process):
        with httpx2.Client(base_url=address) as client:
            assert client.get("/readyz").json() == {"status": "ready"}
        failed: list[str] = []
        told = threading.Event()

        def ask() -> None:
            with httpx2.Client(base_url=address, timeout=10) as client:
                while True:
                    try:
                        answer = client.post("/v1/recommend", json={"user": "u001"})
                    except httpx2.TransportError as error:
                        if not told.is_set():
                            failed.append(repr(error))
                        return
                    if answer.status_code != 200:
                        failed.append(answer.text)
                    elif answer.headers.get("connection") == "close":
                        return

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        threads[0].join(0.5)
        told.set()
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(10)
        assert failed == []
        assert process.wait(10) in (0, -signal.SIGTERM)


def test_a_host_that_is_open_to_others_is_refused_without_keys(shop: Path):
    answer = shortlist("serve", shop / "first", "--host", "0.0.0.0")
    assert answer.code == 1
    assert "shortlist keys create" in answer.err


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path):
    answer = shortlist(
        "serve", tmp_path / "nowhere", "--store", f"sqlite:///{tmp_path / 'store.db'}", "--port", "0"
    )
    assert answer.code == 1
    assert "nowhere" in answer.err


def test_keys_are_made_listed_and_revoked(tmp_path: Path):
    file = ["--file", tmp_path / "keys.json"]
    made = shortlist(
        "keys", "create", "the shop", "--scope", "recommend", "--scope", "events", *file, "--json"
    )
    key = made.document["key"]
    assert key.startswith("sl_")
    (listed,) = shortlist("keys", "list", *file, "--json").document["keys"]
    assert listed == {"id": key.split("_")[1], "name": "the shop", "scopes": ["recommend", "events"]}
    assert shortlist("keys", "revoke", listed["id"], *file).code == 0
    assert shortlist("keys", "list", *file, "--json").document["keys"] == []
    assert "did you mean 'events'" in shortlist("keys", "create", "x", "--scope", "event", *file).err
    assert shortlist("keys", "revoke", "nobody", *file).code == 1


@pytest.mark.parametrize("content", ["", "[]", '{"keys": [{}]}'])
def test_a_file_that_holds_no_keys_is_refused(tmp_path: Path, content: str):
    (tmp_path / "keys.json").write_text(content)
    assert "not a file of API keys" in shortlist("keys", "list", "--file", tmp_path / "keys.json").err


def test_a_missing_bundle_leaves_no_store_behind(tmp_path: Path):
    store = tmp_path / "store.db"
    with pytest.raises(BundleError, match=r"manifest\.json"):
        create_app(tmp_path / "nowhere", ServerSettings(store=f"sqlite:///{store}"))
    assert not store.exists()
