"""What Prometheus reads of a server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of a server, with a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "wordreel_requests",
            "Requests answered",
            ["model", "route", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "wordreel_request_seconds",
            "From the first byte of a request to its answer",
            ["model", "route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.batches = Histogram(
            "wordreel_batch_rows",
            "Rows that were answered together",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.shared = Histogram(
            "wordreel_batch_requests",
            "Requests that were answered together",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.queue = Gauge("wordreel_queue_rows", "Rows that wait", ["model"], registry=registry)
        self.version = Gauge(
            "wordreel_model_version", "The version that answers", ["model"], registry=registry
        )
        self.loads = Counter(
            "wordreel_model_loads",
            "Versions loaded or not",
            ["model", "outcome"],
            registry=registry,
        )
        self.under_way = Gauge(
            "wordreel_requests_under_way", "Requests being read or answered", registry=registry
        )

    def batch(self, model: str, requests: int, rows: int) -> None:
        """Count a batch."""
        self.batches.labels(model).observe(rows)
        self.shared.labels(model).observe(requests)

    def text(self) -> bytes:
        """Return all in Prometheus's text format."""
        return generate_latest(self.registry)
