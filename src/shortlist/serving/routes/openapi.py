"""The description of the server's operations, for programs and for people."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from typing import Any

import msgspec

from shortlist.serving.operations import Operation, Text
from shortlist.serving.routes import OPERATIONS
from shortlist.serving.schemas.api import ID_PATTERN, Failure
from shortlist.serving.schemas.model_servers import ErrorText

FAILURES = {
    "400": "The request is wrong",
    "401": "There is no valid API key",
    "403": "The key lacks the scope, or the host is not this machine",
    "404": "The item is not known, or there is no such file",
    "408": "The body did not come in time",
    "413": "The body is too long",
    "415": "The content type is not application/json",
    "429": "Too many requests of one client",
    "500": "The server failed",
    "503": "The server is busy or stopping, or its store cannot be reached",
}
TEXTS = ("text/plain", "text/html", "text/css", "text/javascript", "image/svg+xml", "application/json")
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-family:ui-monospace,monospace}pre{overflow-x:auto;padding:.7rem;border:1px solid #8888}"
    "summary{cursor:pointer}@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}"
)


@cache
def described() -> bytes:
    """The OpenAPI 3.1 document, as JSON."""
    return json.dumps(document()).encode()


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    import shortlist

    kinds = [each.body for each in OPERATIONS if each.body is not None]
    kinds += [each.answer for each in OPERATIONS if each.answer is not Text]
    kinds = list(dict.fromkeys([*kinds, Failure, ErrorText]))
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "shortlist", "version": shortlist.__version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


@cache
def page() -> Text:
    """The description as a page that needs nothing from elsewhere."""
    text = document()
    parts = [f"<h1>shortlist {html.escape(text['info']['version'])}</h1>"]
    parts.append('<p>The same for programs: <a href="/openapi.json">openapi.json</a>.</p>')
    parts += [_section(each) for each in OPERATIONS]
    parts.append("<h2>Schemas</h2>")
    for name, schema in sorted(text["components"]["schemas"].items()):
        shown = html.escape(json.dumps(schema, indent=2))
        parts.append(
            f'<details id="{name}"><summary><code>{name}</code></summary><pre>{shown}</pre></details>'
        )
    content = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>shortlist</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>"
    )
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return Text(content.encode(), "text/html; charset=utf-8", policy=f"style-src 'sha256-{digest}'")


def _operation(each: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    if each.answer is Text:
        answer: dict[str, Any] = {kind: {} for kind in TEXTS}
    else:
        answer = {"application/json": {"schema": schemas[each.answer]}}
    failure = {"application/json": {"schema": schemas[ErrorText if each.foreign else Failure]}}
    described: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "parameters": [*_path_parameters(each), *_query_parameters(each)],
        "responses": {
            "200": {"description": each.answer.__doc__ or "", "content": answer},
            **{status: {"description": text, "content": failure} for status, text in FAILURES.items()},
        },
        "security": [] if each.scope is None else [{"key": [each.scope] if each.scope else []}],
    }
    if each.body is not None:
        content = {"application/json": {"schema": schemas[each.body]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(each: Operation) -> list[dict[str, Any]]:
    name = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^/]+$"}
    kinds = {"id": name | {"pattern": ID_PATTERN, "description": "percent-encoded, slashes too"}}
    names = re.findall(r"\{(\w+)\}", each.path)
    return [{"name": key, "in": "path", "required": True, "schema": kinds.get(key, name)} for key in names]


def _query_parameters(each: Operation) -> list[dict[str, Any]]:
    if each.query is None:
        return []
    _, components = msgspec.json.schema_components([each.query], ref_template="#/components/schemas/{name}")
    properties = components[each.query.__name__]["properties"]
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]


def _section(each: Operation) -> str:
    who = {None: "open to all", "": "any key"}.get(each.scope, f"scope <code>{each.scope}</code>")
    links = [
        f'{what} <a href="#{kind.__name__}"><code>{kind.__name__}</code></a>'
        for what, kind in (("takes", each.body), ("gives", each.answer))
        if kind is not None and kind is not Text
    ]
    return (
        f"<h2><code>{each.method} {html.escape(each.path)}</code></h2>"
        f"<p>{html.escape(each.summary)}; {'; '.join([who, *links])}.</p>"
    )
