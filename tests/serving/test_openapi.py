"""The description of the server, and what a program that reads it finds out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving.serving_cases import Client

from shortlist.serving import ServerSettings, create_app
from shortlist.serving.operations import Operation
from shortlist.serving.routes import OPERATIONS
from shortlist.serving.routes.openapi import document

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]


def test_every_operation_is_described_once(client: Client):
    described = client.get("/openapi.json").json()
    assert described == json.loads(json.dumps(document()))
    found = {(path, method.upper()) for path, methods in described["paths"].items() for method in methods}
    assert found == {(each.path, each.method) for each in OPERATIONS}


def test_the_page_names_every_operation_and_needs_nothing_from_elsewhere(client: Client):
    answer = client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    for each in OPERATIONS:
        assert f"{each.method} {each.path}" in answer.text
    assert "src=" not in answer.text
    assert "<script" not in answer.text


def test_metrics_are_in_the_text_format(client: Client):
    client.post("/v1/recommend", json={"user": "u001"})
    text = client.get("/metrics").text
    assert 'shortlist_requests_total{operation="recommend",status="200"} 1.0' in text
    assert 'shortlist_stage_seconds_count{stage="retrieve"}' in text
    assert "shortlist_bundle{" in text


@pytest.fixture(scope="module")
def described(shop: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("described")
    running = ServerSettings(store=f"sqlite:///{folder / 'store.db'}", budget=30.0, longest_wait=30.0)
    app = create_app(shop / "first", running)

    async def kept(scope, receive, send):
        if scope["type"] != "lifespan":  # each call would start and stop the server
            await app(scope, receive, send)

    return schemathesis.openapi.from_asgi("/openapi.json", kept, headers={"host": "127.0.0.1"})


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_no_request_breaks_the_server_or_its_description(operation: Operation, described):
    @given(case=described[operation.path][operation.method].as_strategy())
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(case):
        response = case.call(base_url="http://127.0.0.1", headers={"host": "127.0.0.1"})
        case.validate_response(response, checks=CHECKS)

    check()
