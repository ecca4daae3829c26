"""What a server tells of itself: lines of JSON, and spans."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from serving.serving_cases import Client

from shortlist.errors import StoreError
from shortlist.serving import ServerSettings, create_app


def settings(tmp_path: Path, **given: Any) -> ServerSettings:
    return ServerSettings(store=f"sqlite:///{tmp_path / 'store.db'}", budget=30.0, longest_wait=30.0, **given)


def test_every_answer_is_a_line_with_its_request_id_and_without_persons(shop: Path, tmp_path: Path):
    file = tmp_path / "log.jsonl"
    with Client(create_app(shop / "first", settings(tmp_path, log=file))) as client:
        client.get("/v1/users/somebody", headers={"x-request-id": "mine-1"})
        client.post("/v1/recommend", json={"k": 0})
        client.app.state.service.shelf.engine.funnel = None
        failed = client.post("/v1/rank", json={"items": ["i001"]}).headers["x-request-id"]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    user, wrong, error, rank = lines
    assert (user["request_id"], user["path"], user["status"]) == ("mine-1", "/v1/users/{id}", 200)
    assert (wrong["operation"], wrong["status"], wrong["level"]) == ("recommend", 400, "info")
    assert error["level"] == "error"
    assert error["request_id"] == rank["request_id"] == failed
    assert "NoneType" in error["traceback"]
    assert 0 < rank["seconds"] < 30
    assert "somebody" not in file.read_text()


def test_messages_of_the_log_become_lines_until_the_server_stops(
    shop: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    file = tmp_path / "log.jsonl"
    with Client(create_app(shop / "first", settings(tmp_path, log=file))) as client:
        client.delete("/v1/users/x")
        client.app.state.service.store.check = lambda: (_ for _ in ()).throw(StoreError("away"))
        client.get("/readyz")
    messages = [json.loads(line) for line in file.read_text().splitlines()]
    assert any(line["message"].startswith("audit {") for line in messages)
    assert any(line["level"] == "warning" and "away" in line["message"] for line in messages)
    assert "away" not in caplog.text
    logging.getLogger("shortlist.serving").warning("after")
    assert "after" not in file.read_text()


@pytest.fixture(scope="module")
def spans() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def test_a_request_its_batch_and_its_stages_are_spans(
    shop: Path, tmp_path: Path, spans: InMemorySpanExporter
):
    parent = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    with Client(create_app(shop / "first", settings(tmp_path, trace=True))) as client:
        spans.clear()
        answer = client.post("/v1/recommend", json={"user": "u001"}, headers=parent)
        client.post("/v1/rank", json={"items": []})
    found = {span.name: span for span in spans.get_finished_spans()}
    request = found["POST /v1/recommend"]
    assert f"{request.context.trace_id:032x}" == "a" * 32
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["shortlist.request_id"] == answer.headers["x-request-id"]
    assert [link.context.span_id for link in found["batch"].links] == [request.context.span_id]
    assert found["stage retrieve"].parent.span_id == found["batch"].context.span_id
    assert found["stage retrieve"].start_time >= found["batch"].start_time
    assert found["POST /v1/rank"].attributes["http.response.status_code"] == 400
