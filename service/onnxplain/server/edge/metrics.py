"""Prometheus metrics of the service: calls, and per model what waits, runs and is refused."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Protocol

from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client import generate_latest as in_prometheus_format
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from onnxplain.graphops import errors
from onnxplain.inference import open_inference_pb2
from onnxplain.server.edge.call_records import CallRecord
from onnxplain.v1 import explain_pb2

__all__ = ["Levels", "Metrics"]

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
IMAGES = (1, 2, 4, 8, 16, 32)
# Clients can name any method: only these have labels of their own.
METHODS = {
    f"/{service.full_name}/{method.name}"
    for module in (explain_pb2, open_inference_pb2, health_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
MOST_MODELS = 1000  # with labels: those that were called last
# Why a call was refused before it ran.
REJECTIONS = {
    each.__name__
    for each in (
        errors.Forbidden,
        errors.NoWorker,
        errors.QuarantinedModel,
        errors.QueueFull,
        errors.Unauthenticated,
    )
}


class Levels(Protocol):
    """What the service knows of its workers."""

    @property
    def admitted(self) -> Mapping[str, int]:
        """The calls that wait or run, by the model's full name."""

    @property
    def restarts(self) -> int:
        """How often a worker was replaced."""

    @property
    def up(self) -> int:
        """The number of workers that take calls."""


class Metrics:
    """The metrics of one service. levels: of its workers, read when the metrics are."""

    def __init__(self, levels: Levels) -> None:
        self._registry = CollectorRegistry()
        self._models: OrderedDict[str, None] = OrderedDict()
        self._calls = self._counter("calls", "Calls that have ended.", "method", "status")
        self._seconds = self._histogram(
            "call_seconds", "Time from a call's begin to its end.", SECONDS, "method"
        )
        self._received = self._counter("received_bytes", "Bytes of requests.", "method")
        self._sent = self._counter("sent_bytes", "Bytes of responses.", "method")
        self._model_calls = self._counter(
            "model_calls", "Calls of a model that have ended.", "model", "status"
        )
        self._rejections = self._counter(
            "rejections", "Calls that were refused before they ran.", "model", "kind"
        )
        self._queue = self._histogram(
            "queue_seconds", "Time that a call waited in the worker.", SECONDS, "model"
        )
        self._compute = self._histogram(
            "compute_seconds", "Time that a call ran in the worker.", SECONDS, "model"
        )
        self._batch = self._histogram("batch_images", "Images that ran together.", IMAGES, "model")
        self._cache = self._counter(
            "plan_cache", "Calls whose plan was ready (hit) or was not (miss).", "model", "result"
        )
        self._by_model = (
            self._model_calls, self._rejections, self._cache,
            self._queue, self._compute, self._batch,
        )  # fmt: skip
        self._registry.register(_LevelsCollector(levels))
        ProcessCollector(registry=self._registry)

    def observe(self, record: CallRecord) -> None:
        """Count a call that has ended."""
        method = record.method.lstrip("/") if record.method in METHODS else "other"
        model = self._label(record.model)
        self._calls.labels(method, record.status).inc()
        self._seconds.labels(method).observe(record.seconds)
        self._received.labels(method).inc(record.bytes_in)
        self._sent.labels(method).inc(record.bytes_out)
        if record.kind in REJECTIONS:
            self._rejections.labels(model, record.kind).inc()
        if not model:
            return
        self._model_calls.labels(model, record.status).inc()
        for key, histogram, unit in (
            ("queue-ms", self._queue, 1000),
            ("compute-ms", self._compute, 1000),
            ("batch", self._batch, 1),
        ):
            value = record.worker.get(key)
            if isinstance(value, int | float):
                histogram.labels(model).observe(value / unit)
        result = record.worker.get("cache")
        if result in ("hit", "miss"):
            self._cache.labels(model, result).inc()

    def page(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return in_prometheus_format(self._registry)

    def _label(self, name: str) -> str:
        """Return a model's label, and drop those of the model that was called longest ago."""
        model = _short(name)
        if model:
            self._models[model] = None
            self._models.move_to_end(model)
        if len(self._models) > MOST_MODELS:
            oldest, _ = self._models.popitem(last=False)
            for metric in self._by_model:
                metric.remove_by_labels({"model": oldest})
        return model

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"onnxplain_{name}", text, labels, registry=self._registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"onnxplain_{name}", text, labels, buckets=buckets, registry=self._registry
        )


class _LevelsCollector(Collector):
    def __init__(self, levels: Levels) -> None:
        self._levels = levels

    def collect(self) -> Iterator[Metric]:
        counts: dict[str, int] = {}
        for name, count in self._levels.admitted.items():
            counts[_short(name)] = counts.get(_short(name), 0) + count
        calls = GaugeMetricFamily(
            "onnxplain_calls_in_service", "Calls that wait or run.", labels=["model"]
        )
        for model, count in counts.items():
            calls.add_metric([model], count)
        yield calls
        yield CounterMetricFamily(
            "onnxplain_worker_restarts", "Workers that were replaced.", self._levels.restarts
        )
        yield GaugeMetricFamily("onnxplain_workers", "Workers that take calls.", self._levels.up)


def _short(name: str) -> str:
    """Return a model's name without its version."""
    return name.removeprefix("models/").partition("/")[0]
