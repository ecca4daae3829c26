"""Requests that there is no room for: what they are told, and that nothing else changes."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from benchmarks.flood import Flood
from serving.test_serve_command import serving

from shortlist.serving.loadtest import OK, SHED

BUSY = SHED[1]
RATE, SECONDS, CONNECTIONS = 3000, 1.0, 200


@pytest.fixture(scope="module", params=["turnstile", "log"])
def port(
    request: pytest.FixtureRequest, shop: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """A server that lets one request wait at most; with a log, which is told of each, it reads all itself."""
    folder = tmp_path_factory.mktemp("turned-away")
    options = ["--store", f"sqlite:///{folder / 'store.db'}", "--longest-wait", "0.0001", "--budget", "20"]
    if request.param == "log":
        options += ["--log", str(folder / "log.jsonl")]
    with serving(shop / "first", *options) as (address, process):
        yield int(address.rsplit(":", 1)[1])
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def asked(name: str, *, more: str = "", body: bytes = b'{"user":"u001"}') -> bytes:
    """A request."""
    head = f"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {name}\r\n{more}"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_answer(file) -> tuple[int, dict[str, str], dict]:
    """The next answer of a connection: status, headers and content."""
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(": ")
        assert name not in headers
        headers[name] = value
    return status, headers, json.loads(file.read(int(headers["content-length"])))


def refused(port: int) -> int:
    """How many were refused, as the server counts."""
    text = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    found = re.search(r'shortlist_requests_total\{operation="recommend",status="503"\} (\S+)', text)
    return 0 if found is None else int(float(found[1]))


def test_a_flood_is_answered_to_the_last_request_and_counted(port: int):
    before = refused(port)
    load = Flood(port, CONNECTIONS, 80).at_a_rate(RATE, SECONDS)
    assert load.failures == {}
    assert set(load.statuses) == {OK, BUSY}
    assert load.statuses[BUSY] > load.statuses.total() / 4
    assert refused(port) - before == load.statuses[BUSY]


def test_who_is_refused_is_told_what_when_and_which(port: int):
    """Again and again over the same connections, which go on with what is let in."""
    connections = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(32)]
    files = [each.makefile("rb") for each in connections]
    seen: dict[int, list[dict[str, str]]] = {OK: [], BUSY: []}
    for turn in range(8):
        for number, connection in enumerate(connections):
            connection.sendall(asked(f"r-{turn}-{number}"))
        for number, file in enumerate(files):
            status, headers, content = read_answer(file)
            seen[status].append(headers)
            assert headers["x-request-id"] == f"r-{turn}-{number}"
            if status == BUSY:
                assert content["request_id"] == headers["x-request-id"]
                assert content["error"]["what"] == "the server is busy"
                assert headers["retry-after"] == "1"
    assert seen[OK]
    assert seen[BUSY]
    assert set(seen[BUSY][0]) - {"retry-after"} == set(seen[OK][0])
    for each in connections:
        each.close()


def test_one_connection_gets_all_of_its_answers_in_order(port: int):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for turn in range(5):
            whole = b"".join(asked(f"p-{turn}-{number}") for number in range(6))
            connection.sendall(whole[:100])
            time.sleep(0.01)
            connection.sendall(whole[100:])
            file = connection.makefile("rb")
            for number in range(6):
                status, headers, _ = read_answer(file)
                assert status in (OK, BUSY)
                assert headers["x-request-id"] == f"p-{turn}-{number}"


def test_a_connection_that_is_to_be_closed_is_closed(port: int):
    connections = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(16)]
    for number, connection in enumerate(connections):
        connection.sendall(asked(str(number), more="Connection: close\r\n"))
    for connection in connections:
        file = connection.makefile("rb")
        status, headers, _ = read_answer(file)
        assert status in (OK, BUSY)
        assert headers["connection"] == "close"
        assert file.read() == b""


def test_other_operations_are_answered_over_a_connection_that_was_refused(port: int):
    connections = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(16)]
    files = [each.makefile("rb") for each in connections]
    for _ in range(2):
        for connection in connections:
            connection.sendall(asked("a"))
        assert {read_answer(file)[0] for file in files} <= {OK, BUSY}
        time.sleep(0.02)
    for connection, file in zip(connections, files, strict=True):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answer(file)[0] == OK
        connection.sendall(asked("b", body=b"{"))
        assert read_answer(file)[0] in (400, BUSY)
        connection.close()
