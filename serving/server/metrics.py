"""Metrics for Prometheus, with TensorFlow Serving's names."""

import re

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.samples import Sample

DEFAULT_PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# TensorFlow Serving's buckets in microseconds: 33 from 10 on, each 1.8 times the one before.
_LATENCY = [10 * 1.8**power for power in range(33)]
_ROWS = [2.0**power for power in range(14)]

_SUFFIX = re.compile(rb"^(# (?:HELP|TYPE) \S+)_total ", re.MULTILINE)


class _PlainCounter(Counter):
    """A counter whose samples have no suffix, as in TensorFlow Serving."""

    def _child_samples(self) -> list[Sample]:
        return [Sample("", {}, self._value.get(), None, None)]


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        disable_created_metrics()
        self._registry = CollectorRegistry()
        self._requests = self._counter("request_count", "Requests by status.", ["model_name", "status"])
        self._latency = self._histogram(
            "request_latency", "Microseconds from request to response.", ["model_name", "API", "entrypoint"], _LATENCY
        )
        self._signature_latency = Histogram(
            ":easel:serving:signature_latency",
            "Microseconds from request to response, by signature.",
            ["model_name", "signature_name"],
            registry=self._registry,
            buckets=_LATENCY,
        )
        self._runtime = self._histogram(
            "runtime_latency", "Microseconds in which the model ran.", ["model_name", "API", "runtime"], _LATENCY
        )
        self._batch_rows = self._histogram("batching_session:processed_batch_size", "Rows per batch.", [], _ROWS)
        self._loads = self._counter("model_load_count", "Loaded versions by result.", ["model_name", "status"])
        self._available = Gauge(
            ":easel:serving:loaded_version",
            "The version that was loaded last.",
            ["model_name"],
            registry=self._registry,
        )

    def request(self, model: str, signature: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Count one request; only existing models and signatures are used as labels, which bounds memory."""
        self._requests.labels(model, status).inc()
        self._latency.labels(model, api, entrypoint).observe(seconds * 1e6)
        if signature:
            self._signature_latency.labels(model, signature).observe(seconds * 1e6)

    def run(self, model: str, seconds: float) -> None:
        """Record how long a model ran for one request."""
        self._runtime.labels(model, "Predict", "TF2").observe(seconds * 1e6)

    def batch(self, rows: int) -> None:
        """Record the size of one batch."""
        self._batch_rows.observe(rows)

    def loaded(self, model: str, version: int, status: str) -> None:
        """Count one version that was loaded or failed to."""
        self._loads.labels(model, status).inc()
        if status == "OK":
            self._available.labels(model).set(version)

    def page(self) -> bytes:
        """Return all metrics as text."""
        return _SUFFIX.sub(rb"\1 ", generate_latest(self._registry))

    def _counter(self, name: str, documentation: str, labels: list[str]) -> Counter:
        return _PlainCounter(f":tensorflow:serving:{name}", documentation, labels, registry=self._registry)

    def _histogram(self, name: str, documentation: str, labels: list[str], buckets: list[float]) -> Histogram:
        name = f":tensorflow:serving:{name}"
        return Histogram(name, documentation, labels, registry=self._registry, buckets=buckets)
