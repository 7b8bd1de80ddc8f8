"""Traces: the spans that a collector receives, over OTLP."""

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from onnxplain.graphops.errors import ServiceError
from onnxplain.server.edge.call_records import CallRecord
from onnxplain.server.edge.tracing import CallTracer

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"


@pytest.fixture
def collected():
    """Run a collector, and yield its address and the spans that it has received."""
    trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    spans = []

    def export(request, context):
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                spans.extend((names["service.name"], span) for span in scope.spans)
        return trace_service.ExportTraceServiceResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        export,
        trace_service.ExportTraceServiceRequest.FromString,
        trace_service.ExportTraceServiceResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(EXPORT, {"Export": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", spans
    server.stop(0).wait()


def record(**facts):
    facts = {"model": "models/net/versions/2", "seconds": 0.25, "started_ns": 10**18, **facts}
    return CallRecord("/onnxplain.v1.ExplainService/Explain", "ipv4:1.2.3.4:5", "id-1", **facts)


def test_a_span_of_each_call(collected, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    endpoint, spans = collected
    tracer = CallTracer(endpoint)
    tracer.observe(
        record(
            traceparent=f"00-{TRACE}-{PARENT}-01",
            worker={"queue-ms": 1.5, "compute-ms": 20.0, "cache": "hit"},
        )
    )
    tracer.observe(record(status="INTERNAL", kind="InternalError"))
    tracer.observe(record(status="NOT_FOUND", kind="MissingModel", traceparent="nonsense"))
    tracer.stop()
    (name, child), (_, failed), (_, refused) = spans
    assert name == "onnxplain"
    assert child.name == "onnxplain.v1.ExplainService/Explain"
    assert (child.trace_id.hex(), child.parent_span_id.hex()) == (TRACE, PARENT)
    assert child.end_time_unix_nano - child.start_time_unix_nano == 250_000_000
    assert child.start_time_unix_nano == 10**18
    found = {a.key: a.value.string_value or a.value.double_value for a in child.attributes}
    assert found == {
        "rpc.system": "grpc", "rpc.service": "onnxplain.v1.ExplainService",
        "rpc.method": "Explain", "rpc.response.status_code": "OK", "onnxplain.request_id": "id-1",
        "onnxplain.model": "models/net/versions/2", "onnxplain.queue_ms": 1.5,
        "onnxplain.compute_ms": 20.0, "onnxplain.cache": "hit",
    }  # fmt: skip
    assert failed.status.code == failed.status.STATUS_CODE_ERROR
    assert failed.parent_span_id == b""
    assert refused.status.code == refused.status.STATUS_CODE_UNSET
    assert {a.key: a.value.string_value for a in refused.attributes}["error.type"] == "MissingModel"


def test_a_call_that_the_client_does_not_sample_has_no_span(collected):
    endpoint, spans = collected
    tracer = CallTracer(endpoint)
    tracer.observe(record(traceparent=f"00-{TRACE}-{PARENT}-00"))
    tracer.stop()
    assert spans == []


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ServiceError, match=r"pip install 'onnxplain\[telemetry\]'"):
        CallTracer("http://127.0.0.1:4317")


def test_no_collector_does_no_harm(caplog):
    before = set(threading.enumerate())
    tracer = CallTracer("http://127.0.0.1:1")
    tracer.observe(record())
    with caplog.at_level(logging.CRITICAL):
        tracer.stop()
    assert set(threading.enumerate()) <= before
