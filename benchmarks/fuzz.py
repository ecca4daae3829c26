"""Requests that no client should send, drawn from a seed: the server stays up, and never fails."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure
from benchmarks.serving import QUICK_USERS, save_funnel, serving
from shortlist.serving.routes import OPERATIONS

REQUESTS, QUICK_REQUESTS = 10_000, 600
ITEMS = 2_000
ANSWER_SECONDS = 20.0  # in which a whole request must be answered
BROKEN_SECONDS = 0.2  # that a broken one is waited for, since the server may still wait for its end
LOOK = 200  # requests between two looks at whether the server lives
NO_ANSWER = 0  # the status of a connection that was closed without one

IDS = (
    "1",
    "42",
    "x",
    "%00",
    "..",
    "%2e%2e%2fetc",
    "a" * 300,
    "é",
    "'; DROP TABLE events; --",
    "%f0%9f%8e%89",
)
NAMES = ("user", "history", "k", "exclude", "where", "postrank", "fields", "context", "items", "events", "id")
NAMES += (
    "item",
    "time",
    "columns",
    "features",
    "path",
    "rollback",
    "instances",
    "inputs",
    "arms",
    "name",
    "share",
)
TEXTS = (
    "",
    "x",
    "42",
    "item_id = 1",
    "price > 'x'",
    "\0",
    "\ud83c\udf89",
    "a" * 5000,
    "../..",
    "NaN",
    "SELECT 1",
)
NUMBERS = (0, -1, 1, 12, 1001, 2**31, 2**63, -(2**63) - 1, 1e308, 0.5, 10**40)
KINDS = ("application/json", "text/plain", "application/JSON; charset=utf-16", "", "multipart/form-data")
BROKEN = (
    b"\0" * 100,
    b"GET",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n{}",
    b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n{}",
    b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


def run(*, quick: bool) -> list[Figure]:
    """Send them to a server of a small catalogue."""
    count = QUICK_REQUESTS if quick else REQUESTS
    with tempfile.TemporaryDirectory() as folder:
        save_funnel(Path(folder) / "bundle", ITEMS, QUICK_USERS)
        with serving(Path(folder) / "bundle", Path(folder)) as (port, _):
            statuses = fuzz(port, count, seed=0)
    print(dict(sorted(statuses.items())))
    return [
        Figure("fuzzed_requests", count, "", None if quick else REQUESTS),
        Figure("fuzz_server_errors", statuses[500], "", 0, at_least=False),
        Figure("fuzz_up_at_the_end", 1, "", 1),  # `fuzz` raises where it is not
    ]


def fuzz(port: int, count: int, *, seed: int) -> Counter[int]:
    """Send strange requests.

    Args:
        port: of the server.
        count: how many.
        seed: of what they are.

    Returns:
        How many had which status; 0 for connections that were closed without an answer.

    Raises:
        RuntimeError: the server does not answer any more.
    """
    draw, statuses = random.Random(seed), Counter[int]()
    for number in range(count):
        leaves = draw.random() < 0.05  # before the answer comes
        if draw.random() < 0.1:
            statuses[_send(port, _mutated(draw.choice(BROKEN), draw), 0.0 if leaves else BROKEN_SECONDS)] += 1
        else:
            statuses[_send(port, _request(draw), 0.0 if leaves else ANSWER_SECONDS)] += 1
        if (number + 1) % LOOK == 0 or number + 1 == count:
            status = _send(
                port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", ANSWER_SECONDS
            )
            if status != 200:
                raise RuntimeError(f"after {number + 1} requests of seed {seed}, /healthz gives {status}")
    return statuses


def _request(draw: random.Random) -> bytes:
    operation = draw.choice(OPERATIONS)
    path = re.sub(r"\{\w+\}", lambda _: draw.choice((*IDS, "default")), operation.path)
    if draw.random() < 0.2:
        path += f"?{draw.choice(NAMES)}={draw.choice(IDS)}"
    method = operation.method if draw.random() < 0.9 else draw.choice(("GET", "POST", "PUT", "HEAD", "BREW"))
    body = json.dumps(_value(draw, operation.body, 0)).encode()
    if draw.random() < 0.15:
        body = _mutated(body, draw)
    kind = KINDS[0] if draw.random() < 0.9 else draw.choice(KINDS)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("utf-8", "replace") + body


def _value(draw: random.Random, kind: Any, depth: int) -> Any:
    """A value of JSON: at the top mostly the names that the operation takes, with anything in them."""
    if depth == 0 and draw.random() < 0.9:
        names = getattr(kind, "__struct_fields__", ()) or NAMES
        some = draw.sample(names, draw.randint(0, min(4, len(names))))
        return {name: _value(draw, None, 1) for name in some}
    choice = draw.random()
    if choice < 0.35 or depth > 3:
        return draw.choice((*TEXTS, *NUMBERS, None, True, False))
    if choice < 0.6:
        return [_value(draw, None, depth + 1) for _ in range(draw.choice((0, 1, 2, 50)))]
    if choice < 0.95:
        return {
            draw.choice((*NAMES, *TEXTS)): _value(draw, None, depth + 1) for _ in range(draw.randint(0, 4))
        }
    return draw.choice(
        ({"instances": ["1", "2"]}, {"events": [{"id": "1", "user": 1, "item": 1}]}, [[]] * 1000)
    )


def _mutated(content: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, or the end cut off."""
    changed = bytearray(content[: draw.randint(0, len(content))] if draw.random() < 0.3 else content)
    for _ in range(draw.randint(0, 5)):
        if changed:
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _send(port: int, content: bytes, seconds: float) -> int:
    """Send bytes and wait so long for an answer; its status."""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(content)
        if not seconds:
            return NO_ANSWER
        connection.settimeout(seconds)
        try:
            answer = connection.recv(4096)
        except TimeoutError:
            if seconds == ANSWER_SECONDS:
                raise RuntimeError(f"no answer to {content[:300]!r}") from None
            return NO_ANSWER
        return int(answer[9:12]) if answer.startswith(b"HTTP/") else NO_ANSWER
    return NO_ANSWER
