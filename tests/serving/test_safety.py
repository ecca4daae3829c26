"""Who may ask for what, how much, and what the answers give away."""

from __future__ import annotations

import json
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving.serving_cases import Client

from shortlist.errors import ConfigError
from shortlist.serving import KeyFile, ServerSettings, create_app
from shortlist.serving.refusal import Refusal
from shortlist.serving.routes import OPERATIONS
from shortlist.serving.security.limits import RateLimit

OPEN = {
    "/healthz",
    "/readyz",
    "/v2/health/live",
    "/v2/health/ready",
    "/",
    "/console/{file}",
}  # the console shows nothing by itself


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A file with a key for each scope."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    scopes = sorted({each.scope for each in OPERATIONS if each.scope})
    return path, {scope: KeyFile(path).create(f"for {scope}", [scope]) for scope in scopes}


@pytest.fixture(scope="module")
def guarded(
    shop: Path, keys: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("guarded")
    settings = ServerSettings(
        store=f"sqlite:///{folder / 'store.db'}", keys=keys[0], audit=folder / "audit.jsonl", host="0.0.0.0"
    )
    with Client(create_app(shop / "first", settings)) as client:
        yield client


def ask(client: Client, method: str, path: str, key: str | None = None) -> int:
    headers = {"authorization": f"Bearer {key}".encode()} if key else {}
    path = re.sub(r"\{\w+\}", "x", path.replace("{file}", "app.js"))
    return client.request(method, path, headers=headers, json={}).status_code


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_route_wants_a_key_of_its_scope(guarded: Client, keys, operation):
    statuses = {scope: ask(guarded, operation.method, operation.path, key) for scope, key in keys[1].items()}
    if operation.path in OPEN:
        assert ask(guarded, operation.method, operation.path) not in (401, 403)
        return
    assert ask(guarded, operation.method, operation.path) == 401
    assert ask(guarded, operation.method, operation.path, keys[1]["events"][:-1] + "x") == 401
    assert ask(guarded, operation.method, operation.path, "sl_" + "é" * 3) == 401
    allowed = {scope for scope, status in statuses.items() if status not in (401, 403)}
    assert allowed == ({operation.scope} if operation.scope else set(keys[1]))
    assert 500 not in statuses.values()


def test_all_routes_of_the_application_are_operations(guarded: Client):
    served = {(route.path, *sorted(route.methods - {"HEAD"})) for route in guarded.app.routes}
    assert served == {(each.path, each.method) for each in OPERATIONS}


def test_keys_are_kept_as_hashes_in_a_file_of_one_s_own(keys):
    path, made = keys
    text = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for key in made.values():
        assert key.split("_")[2] not in text
    assert KeyFile(path).find(made["events"]).scopes == ("events",)


def test_a_revoked_key_is_refused_by_a_running_server(guarded: Client, keys):
    path, _ = keys
    key = KeyFile(path).create("short-lived", ["metrics"])
    assert ask(guarded, "GET", "/metrics", key) == 200
    KeyFile(path).revoke(key.split("_")[1])
    assert ask(guarded, "GET", "/metrics", key) == 401


def test_changes_by_administrators_are_noted(guarded: Client, keys):
    path = guarded.app.state.service.settings.audit
    ask(guarded, "DELETE", "/v1/users/x", keys[1]["users"])
    ask(guarded, "DELETE", "/v1/users/x")
    lines = [json.loads(line) for line in path.read_text().splitlines()][-2:]
    assert [line["status"] for line in lines] == [200, 401]
    assert lines[0]["key"] == keys[1]["users"].split("_")[1]
    assert lines[0]["path"] == "/v1/users/x"


def test_a_change_that_the_audit_file_does_not_take_is_noted_in_the_log(guarded: Client, keys, caplog):
    path = guarded.app.state.service.settings.audit
    kept = path.rename(path.with_suffix(".kept"))
    path.mkdir()
    try:
        assert ask(guarded, "DELETE", "/v1/users/x", keys[1]["users"]) == 200
    finally:
        path.rmdir()
        kept.rename(path)
    assert '"path": "/v1/users/x"' in caplog.text
    assert f"{path} cannot be written" in caplog.text


def test_a_host_that_is_open_to_others_needs_keys():
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.com"):
        with pytest.raises(ConfigError, match="no API keys"):
            ServerSettings(host=host)
    for host in ("127.0.0.1", "localhost", "::1"):
        assert ServerSettings(host=host).is_loopback


def test_without_keys_no_other_name_may_be_asked_by(client: Client):
    """A page of a stranger whose name was rebound to this machine sends its own name."""
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"):
        assert client.get("/v1/bundles", headers={"host": host}).status_code == 403
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert client.get("/v1/bundles", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/v1/users/x", "/nothing", "/v1/recommend"])
def test_every_answer_has_the_headers_of_safety(client: Client, path: str):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_what_is_no_json_is_refused(client: Client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = client.post("/v1/recommend", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415
    for content in (b"", b"{", b"\xff", b"[" * 100_000, b'{"k": 1e999}', b'{"user": "\\ud800"}'):
        answer = client.post("/v1/recommend", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 400, content[:20]


def test_a_body_that_is_too_long_is_refused(client: Client):
    headers = {"content-type": "application/json"}
    long = b" " * (2 << 20)
    assert client.post("/v1/recommend", content=long, headers=headers).status_code == 413
    parts = iter([long])  # sent without its length
    assert client.post("/v1/recommend", content=parts, headers=headers).status_code == 413


def test_request_ids_are_taken_over_unless_they_are_strange(client: Client):
    assert client.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    strange = client.get("/healthz", headers={"x-request-id": "a b\tc"}).headers["x-request-id"]
    assert len(strange) == 16


def test_an_error_that_nobody_expected_tells_nothing(client: Client):
    client.app.state.service.shelf.engine.funnel = None
    answer = client.post("/v1/rank", json={"items": ["i001"]})
    assert answer.status_code == 500
    assert answer.json()["error"]["what"] == "the server failed"
    assert "NoneType" not in answer.text


def test_a_client_has_a_rate_and_a_burst():
    limit = RateLimit(10)
    for _ in range(20):
        limit.check("a", now=0.0)
    with pytest.raises(Refusal) as caught:
        limit.check("a", now=0.0)
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    limit.check("b", now=0.0)
    limit.check("a", now=0.11)
    with pytest.raises(Refusal):
        limit.check("a", now=0.11)


def test_too_many_requests_are_told_when_to_come_again(shop: Path, tmp_path: Path):
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'store.db'}", rate=1)
    with Client(create_app(shop / "first", settings)) as client:
        answers = [client.get("/v1/bundles") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200


def test_what_is_beyond_the_server_s_means_is_shed(shop: Path, tmp_path: Path):
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'store.db'}", max_requests=1, budget=5)
    with Client(create_app(shop / "first", settings)) as client:
        engine = client.app.state.service.shelf.engine
        slow, original = threading.Event(), engine.recommend

        def recommend(*arguments):
            slow.wait(5)
            return original(*arguments)

        engine.recommend = recommend
        answers = []
        thread = threading.Thread(target=lambda: answers.append(client.post("/v1/recommend", json={})))
        thread.start()
        time.sleep(0.2)
        busy = client.post("/v1/recommend", json={})
        slow.set()
        thread.join()
        assert busy.status_code == 503
        assert busy.headers["retry-after"] == "1"
        assert answers[0].status_code == 200


def test_an_answer_comes_in_time_even_if_no_stage_has_any(shop: Path, tmp_path: Path):
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'store.db'}", budget=0.05)
    with Client(create_app(shop / "second", settings)) as client:
        engine = client.app.state.service.shelf.engine
        engine.recommend = lambda batch, past: time.sleep(1) or [None] * len(batch)
        started = time.monotonic()
        answer = client.post(
            "/v1/recommend", json={"user": "u000", "fields": ["group"], "exclude": ["i001"]}
        ).json()
        assert time.monotonic() - started < 0.9
        assert answer["fallback"]
        assert len(answer["items"]) == 6
        assert "red" not in answer["columns"]["group"]  # the bundle's rule holds here too
        assert "i001" not in answer["items"]


def test_stages_that_have_no_time_are_cut_and_named(client: Client):
    engine = client.app.state.service.shelf.engine
    engine.clock.typical["diversity"] = 1e9
    answer = client.post("/v1/recommend", json={"user": "u000"}).json()
    assert answer["cut"] == ["diversity"]
    assert len(answer["items"]) == 6
