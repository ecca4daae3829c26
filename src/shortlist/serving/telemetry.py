"""What a server counts and measures, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Telemetry:
    """Counters of one server."""

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
        self._bundle = Gauge("shortlist_bundle", "The bundle in use", ["bundle"], registry=self.registry)

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """Note an answer."""
        self._requests.labels(operation, status).inc()
        self._seconds.labels(operation).observe(seconds)

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
        self._bundle.clear()
        self._bundle.labels(bundle).set(1)
        return generate_latest(self.registry)
