"""What a server counts and measures, for Prometheus."""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where workers of one server leave their numbers, if there are several


class Telemetry:
    """Counters of one server, whichever of its workers is asked for them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "shortlist_requests", "Answers sent", ["operation", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "shortlist_request_seconds",
            "From the whole request to its answer",
            ["operation"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "shortlist_stage_seconds",
            "Of a batch in a stage",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "shortlist_batch_requests", "Requests answered together", buckets=SIZES, registry=self.registry
        )
        self.events = Counter("shortlist_events", "Events kept for the first time", registry=self.registry)
        self.fallbacks = Counter(
            "shortlist_fallbacks", "Answers of popular items, for lack of time", registry=self.registry
        )
        self._cuts = Counter(
            "shortlist_stages_cut", "Stages left out for lack of time", ["stage"], registry=self.registry
        )
        self._arms = Histogram(
            "shortlist_arm_seconds",
            "Of an answer of an arm or a shadow",
            ["arm"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.exposures = Counter(
            "shortlist_exposures", "Exposures kept", ["experiment", "arm"], registry=self.registry
        )
        self.shadows_left_out = Counter(
            "shortlist_shadows_left_out", "Shadows not asked, for lack of room", registry=self.registry
        )

    def arm(self, name: str, seconds: float) -> None:
        """Note an answer of an arm or a shadow."""
        self._arms.labels(name).observe(seconds)

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """Note an answer."""
        self._requests.labels(operation, status).inc()
        self._seconds.labels(operation).observe(seconds)

    def refused(self, operation: str, status: int, count: int) -> None:
        """Note answers that were given without looking at the requests, and whose times are not known."""
        self._requests.labels(operation, status).inc(count)

    def stage(self, name: str, seconds: float) -> None:
        """Note a stage of a batch."""
        self._stages.labels(name.split(" ")[0]).observe(seconds)

    def cut(self, stages: list[str]) -> None:
        """Note stages that were left out."""
        for name in stages:
            self._cuts.labels(name.split(" ")[0]).inc()

    def text(self, bundle: str) -> bytes:
        """All of it in the text format of Prometheus.

        Args:
            bundle: the one in use.
        """
        registry, own = self.registry, CollectorRegistry()
        if FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        own.register(_BundleInUse(bundle))
        return generate_latest(registry) + generate_latest(own)


class _BundleInUse(Collector):
    """One for the bundle that answers: a number of now, which no file of the workers could tell."""

    def __init__(self, bundle: str) -> None:
        self.bundle = bundle

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The number."""
        gauge = GaugeMetricFamily("shortlist_bundle", "The bundle in use", labels=["bundle"])
        gauge.add_metric([self.bundle], 1)
        yield gauge
