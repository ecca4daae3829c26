"""Several processes behind one socket answer as one server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving.test_serve_command import RUN, serving

import shortlist as package
from shortlist.errors import BundleError, ConfigError
from shortlist.serving import ServerSettings, serve
from shortlist.serving.bundles.fleet import Fleet
from shortlist.serving.bundles.shelf import Shelf, load
from shortlist.serving.http.workers import last_words
from shortlist.serving.stores import open_store

Running = tuple[str, int, Path]


@pytest.fixture(scope="module")
def running(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two workers: their address, the process that started them, and their log."""
    folder = tmp_path_factory.mktemp("workers")
    options = ["--workers", "2", "--store", f"sqlite:///{folder / 'store.db'}", "--log", folder / "log.jsonl"]
    with serving(shop / "first", *map(str, options)) as (address, process):
        yield address, process.pid, folder / "log.jsonl"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def children(process: int) -> set[int]:
    return set(map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()))


def each_once(address: str, path: str, count: int = 24, **body: Any) -> list[dict[str, Any]]:
    """The answers over connections of their own, several at a time, so that all workers are met."""

    def one(number: int) -> dict[str, Any]:
        with httpx2.Client(base_url=address, timeout=20) as client:
            sent = {**body, "user": f"u{number:03}"} if path.endswith("recommend") else body
            answer = client.post(path, json=json.loads(json.dumps(sent).replace("NUMBER", str(number))))
        assert answer.status_code == 200, answer.text
        return answer.json()

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(one, range(count)))


def metrics(address: str) -> str:
    with httpx2.Client(base_url=address) as client:
        return client.get("/metrics").text


def test_all_workers_answer_and_their_numbers_are_one(running: Running):
    address, process, log = running
    answers = each_once(address, "/v1/recommend", 40)
    assert len({answer["bundle"] for answer in answers}) == 1
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["pid"] for line in lines if line["message"] == "answered"} == children(process)
    counted = re.compile(
        r'^shortlist_requests_total\{operation="recommend",status="200"\} (\d+)', re.MULTILINE
    )
    end = time.monotonic() + 20
    for _ in range(4):
        while counted.search(text := metrics(address))[1] != "40":  # an answer is counted after it is sent
            assert time.monotonic() < end
        assert text.count("shortlist_bundle{") == 1


def test_a_new_bundle_reaches_every_worker_before_the_answer_comes(running: Running):
    address, process, _ = running
    with httpx2.Client(base_url=address, timeout=60) as client:
        first = client.get("/v1/bundles").json()["current"]
        second = client.post("/v1/bundles", json={"path": "second"}).json()["current"]
        assert second != first
        assert {each["bundle"] for each in each_once(address, "/v1/recommend")} == {second}
        assert client.post("/v1/bundles", json={"rollback": True}).json()["current"] == first
        assert {each["bundle"] for each in each_once(address, "/v1/recommend")} == {first}
        assert client.post("/v1/bundles", json={"path": "second"}).json()["previous"] == first
    ended = min(children(process))
    os.kill(ended, signal.SIGKILL)  # the one that takes its place must not go back to the first bundle
    end = time.monotonic() + 20
    while ended in (now := children(process)) or len(now) < 2:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert {each["bundle"] for each in each_once(address, "/v1/recommend")} == {second}


def test_events_that_come_to_any_worker_are_kept_once(running: Running):
    address, *_ = running
    event = {"id": "eNUMBER", "user": "somebody", "item": "i001"}
    both = each_once(address, "/v1/events", 24, events=[event]) + each_once(
        address, "/v1/events", 24, events=[event]
    )
    assert sum(answer["new"] for answer in both) == 24
    with httpx2.Client(base_url=address) as client:
        assert len(client.get("/v1/users/somebody").json()["events"]) == 24


def test_a_worker_that_cannot_start_says_why(shop: Path, tmp_path: Path):
    settings = ServerSettings(port=0, workers=2, store=f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(BundleError, match="nowhere"):
        serve(tmp_path / "nowhere", settings)
    with pytest.raises(ConfigError, match="workers is 0"):
        ServerSettings(workers=0)


def test_a_server_that_is_told_to_stop_while_it_starts_stops_quietly(shop: Path, tmp_path: Path):
    options = ["--workers", "2", "--port", "0", "--store", f"sqlite:///{tmp_path / 'store.db'}"]
    command = [sys.executable, "-c", RUN, "serve", shop / "first", *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parent.parent)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    while not children(process.pid):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('{"ready": true}', ""),
        (
            '{"kind": "BundleError", "what": "it is damaged", "where": "x", "remedy": "y"}',
            ": it is damaged (x); y",
        ),
        ("", ""),
        ("[1]", ""),
        ("no JSON", ""),
    ],
)
def test_what_an_ended_worker_failed_of_is_read_from_what_it_said(said: str, reason: str):
    process = subprocess.Popen(["echo", "-n", said], stdout=subprocess.PIPE, text=True)
    with process:
        process.wait()
        assert last_words(process) == reason


def test_workers_follow_an_order_once_and_roll_back_without_reading(shop: Path, tmp_path: Path):
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    told, other = (Shelf(load(shop / "first"), store, root=shop) for _ in range(2))
    (tmp_path / "fleet").mkdir()
    mine, theirs = (Fleet(tmp_path / "fleet", number, 2) for number in range(2))
    with ThreadPoolExecutor(1) as thread:
        changed = thread.submit(mine.change, told, "second")
        while theirs.order() is None:
            time.sleep(0.01)
        assert not changed.done()
        theirs.follow(other)
        assert changed.result(5) == other.bundles
        engine = other.engine
        theirs.follow(other)
        mine.follow(told)
        assert other.engine is engine
        (shop / "first").rename(shop / "away")  # what is rolled back to is not read again
        try:
            back = thread.submit(mine.change, told, None)
            while theirs.order().number < 2:
                time.sleep(0.01)
            theirs.follow(other)
            assert back.result(5).current == other.bundles.current == load(shop / "away").name
        finally:
            (shop / "away").rename(shop / "first")
    assert Fleet(tmp_path / "fleet", 1, 2).first.number == 2
    store.close()
