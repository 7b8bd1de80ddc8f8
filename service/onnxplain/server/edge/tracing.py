"""OpenTelemetry traces: one span a call, sent to a collector; the extra `telemetry` brings it."""

from __future__ import annotations

from importlib.metadata import version

from onnxplain.graphops.errors import ServiceError
from onnxplain.server.edge.call_records import CallRecord

__all__ = ["CallTracer"]

SECONDS = 2  # for the collector to take spans, also when the service stops
# By OpenTelemetry's conventions the server's own failures mark a span as failed, others do not.
FAILURES = {
    "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
}  # fmt: skip


class CallTracer:
    """Makes the spans of calls, as children of the client's span where it sends `traceparent`.

    endpoint: of the OTLP collector, such as http://127.0.0.1:4317. Raises ServiceError where
    OpenTelemetry is not installed.
    """

    def __init__(self, endpoint: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as e:
            raise ServiceError(
                f"`traces` needs OpenTelemetry: pip install 'onnxplain[telemetry]' ({e})"
            ) from e
        resource = Resource.create(
            {"service.name": "onnxplain", "service.version": version("onnxplain")}
        )
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=SECONDS))
        )
        self._tracer = self._provider.get_tracer("onnxplain.server")

    def observe(self, record: CallRecord) -> None:
        """Make the span of a call that has ended."""
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        service, _, method = record.method.lstrip("/").partition("/")
        span = self._tracer.start_span(
            f"{service}/{method}",
            context=TraceContextTextMapPropagator().extract({"traceparent": record.traceparent}),
            kind=SpanKind.SERVER,
            start_time=record.started_ns,
            attributes={
                "rpc.system": "grpc",
                "rpc.service": service,
                "rpc.method": method,
                "rpc.response.status_code": record.status,
                "onnxplain.request_id": record.request_id,
                "onnxplain.model": record.model,
                **{f"onnxplain.{k.replace('-', '_')}": v for k, v in record.worker.items()},
            },
        )
        if record.kind:
            span.set_attribute("error.type", record.kind)
        if record.status in FAILURES:
            span.set_status(Status(StatusCode.ERROR))
        span.end(record.started_ns + int(record.seconds * 1e9))

    def stop(self) -> None:
        """Send what is left, and stop."""
        self._provider.shutdown()
