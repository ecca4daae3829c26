"""Spans of OpenTelemetry: one a request, one a batch of them, one a stage of the batch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from shortlist.errors import ConfigError

SERVER_ERROR = 500
NAME = "shortlist"


class Tracing:
    """Makes spans.

    A provider that the program has set is used; else one is made that sends to a collector, as the variables
    `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME` and their kin say.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ModuleNotFoundError as error:
            raise _missing(error) from error
        self._api: Any = trace
        self._propagator = TraceContextTextMapPropagator()
        self._own: Any = None
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            self._own = _provider()
            trace.set_tracer_provider(self._own)
        self._tracer = trace.get_tracer(NAME)

    @contextmanager
    def request(
        self, method: str, path: str, headers: Mapping[bytes, bytes], request_id: str
    ) -> Iterator[Any]:
        """The span of a request, below that of its client if it names one.

        Args:
            method: of HTTP.
            path: of the operation, without ids.
            headers: of the request.
            request_id: that the log names it by.
        """
        parent = {
            name: headers[name.encode()].decode("latin-1")
            for name in ("traceparent", "tracestate")
            if name.encode() in headers
        }
        attributes = {"http.request.method": method, "http.route": path, "shortlist.request_id": request_id}
        with self._tracer.start_as_current_span(
            f"{method} {path}",
            context=self._propagator.extract(parent),
            kind=self._api.SpanKind.SERVER,
            attributes=attributes,
        ) as span:
            yield span

    def answered(self, span: Any, status: int) -> None:
        """Note the status of a request's answer."""
        span.set_attribute("http.response.status_code", status)
        if status >= SERVER_ERROR:
            span.set_status(self._api.StatusCode.ERROR)

    def here(self) -> Any:
        """The span that this code runs in, for a batch that will be linked with it."""
        return self._api.get_current_span().get_span_context()

    @contextmanager
    def batch(self, requests: Sequence[Any]) -> Iterator[None]:
        """The span of a batch.

        Args:
            requests: what `here` gave for each, or None.
        """
        links = [self._api.Link(each) for each in requests if each is not None and each.is_valid]
        with self._tracer.start_as_current_span(
            "batch", links=links, attributes={"shortlist.requests": len(requests)}
        ):
            yield

    def stage(self, name: str, seconds: float) -> None:
        """The span of a stage that has just ended."""
        end = time.time_ns()
        span = self._tracer.start_span(f"stage {name}", start_time=end - int(seconds * 1e9))
        span.end(end)

    def close(self) -> None:
        """Send what has not been sent."""
        if self._own is not None:
            self._own.force_flush()


def _provider() -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    name = os.environ.get("OTEL_SERVICE_NAME", NAME)
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _missing(error: ModuleNotFoundError) -> ConfigError:
    return ConfigError(
        f"traces need {error.name!r}, which is not installed", remedy="pip install 'shortlist[otel]'"
    )
