"""What is recorded of a call, the log's line of it, and the metrics."""

import asyncio
import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from onnxplain.graphops.errors import InputError, QueueFull
from onnxplain.server.caller import CALLER
from onnxplain.server.edge.access import AccessInterceptor
from onnxplain.server.edge.call_log import log_call
from onnxplain.server.edge.call_records import CallInterceptor, CallRecord, host_of, note_model
from onnxplain.server.edge.metrics import MOST_MODELS, Metrics
from onnxplain.server.errors import ErrorInterceptor
from onnxplain.server.logs import configure_log
from onnxplain.server.tokens import Token, digest

QUIET = SimpleNamespace(admitted={}, restarts=0, up=0)
SERVICE = "onnxplain.v1.ExplainService"
LOCAL = [("grpc.enable_http_proxy", 0)]
FACTS = (
    ("onnxplain-queue-ms", "1.5"), ("onnxplain-compute-ms", "20"), ("onnxplain-batch", "3"),
    ("onnxplain-cache", "hit"),
)  # fmt: skip


async def single(request, context):
    note_model("models/net/versions/2")
    context.set_trailing_metadata((*FACTS, ("onnxplain-caller-id", CALLER.get().request_id)))
    if request == b"slow":
        await asyncio.sleep(30)
    if request == b"bad":
        raise InputError("bad")
    if request == b"full":
        raise QueueFull("full")
    return b"12345"


async def stream(request, context):
    note_model("models/net/versions/2")
    for _ in range(3):
        yield b"123"
    if request == b"slow":
        await asyncio.sleep(30)
    if request == b"bad":
        raise InputError("bad")


async def upload(requests, context):
    async for _ in requests:
        pass
    return b"1"


async def bad_upload(requests, context):
    async for _ in requests:
        pass
    raise InputError("data: too little of it")


async def both(requests, context):
    async for request in requests:
        yield request


HANDLERS = {
    "Explain": grpc.unary_unary_rpc_method_handler(single),
    "View": grpc.unary_stream_rpc_method_handler(stream),
    "UploadModel": grpc.stream_unary_rpc_method_handler(upload),
    "Bad": grpc.stream_unary_rpc_method_handler(bad_upload),
    "Both": grpc.stream_stream_rpc_method_handler(both),
}


def calling(play, observers=(), tokens=()):
    """Run `play` with a channel of a service, and return the records of the calls."""
    records = []

    async def run():
        server = grpc.aio.server(
            interceptors=[
                CallInterceptor([records.append, *observers]),
                ErrorInterceptor(),
                AccessInterceptor(tokens),
            ]
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, HANDLERS),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", LOCAL) as channel:
            try:
                await play(channel)
            finally:
                await server.stop(5)

    asyncio.run(run())
    return records


async def explain(channel, request=b"12", metadata=(), timeout=10.0):
    call = channel.unary_unary(f"/{SERVICE}/Explain")
    return await call(request, metadata=metadata, timeout=timeout)


async def view(channel, request, timeout=10.0):
    call = channel.unary_stream(f"/{SERVICE}/View")(request, timeout=timeout)
    return [part async for part in call]


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
@pytest.mark.parametrize("make", ["unary_unary", "unary_stream", "stream_unary"])
def test_a_request_that_is_too_large_for_grpc(make, compression, caplog):
    """gRPC answers itself, without kind; the record has what it answered."""
    large = b"\0" * (4 * 2**20 + 1)
    call = {"unary_unary": "Explain", "unary_stream": "View", "stream_unary": "Bad"}[make]

    async def play(channel):
        method = getattr(channel, make)(f"/{SERVICE}/{call}")
        answer = method(iter([large]) if call == "Bad" else large, compression=compression)
        with pytest.raises(grpc.RpcError) as caught:
            await (answer.read() if make == "unary_stream" else answer)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    with caplog.at_level(logging.INFO):
        (record,) = calling(play)
    assert (record.status, record.kind) == ("RESOURCE_EXHAUSTED", "RequestTooLarge")
    assert not caplog.records


def test_all_that_is_known_of_a_call():
    async def play(channel):
        await explain(channel, metadata=[("x-request-id", "abc-7"), ("traceparent", "00-1-2-01")])

    (record,) = calling(play)
    assert record.method == f"/{SERVICE}/Explain"
    assert re.fullmatch(r"ipv4:127\.0\.0\.1:\d+", record.peer)
    assert (record.request_id, record.traceparent) == ("abc-7", "00-1-2-01")
    assert (record.caller, record.model) == ("127.0.0.1", "models/net/versions/2")
    assert (record.status, record.kind) == ("OK", "")
    assert (record.bytes_in, record.bytes_out) == (2, 5)
    assert 0 < record.seconds < 5
    assert record.worker == {
        "queue-ms": 1.5, "compute-ms": 20, "batch": 3, "cache": "hit", "caller-id": "abc-7",
    }  # fmt: skip


@pytest.mark.parametrize("bad", [None, "", "two words", "x" * 129])
def test_a_call_without_a_fit_id_is_given_one(bad):
    async def play(channel):
        metadata = [] if bad is None else [("x-request-id", bad)]
        await explain(channel, metadata=metadata)
        await explain(channel, metadata=metadata)

    first, second = (record.request_id for record in calling(play))
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != second


def test_the_bytes_of_all_messages():
    async def play(channel):
        await view(channel, b"1234")
        await channel.stream_unary(f"/{SERVICE}/UploadModel")(iter([b"1", b"23"]))
        async for _ in channel.stream_stream(f"/{SERVICE}/Both")(iter([b"1", b"23"])):
            pass

    assert [(r.bytes_in, r.bytes_out) for r in calling(play)] == [(4, 9), (3, 1), (3, 3)]


def test_how_calls_end():
    async def play(channel):
        for ask in (explain, view):
            with pytest.raises(grpc.RpcError):
                await ask(channel, b"bad")
            with pytest.raises(grpc.RpcError):
                await ask(channel, b"slow", timeout=0.2)
        with pytest.raises(grpc.RpcError):
            await explain(channel, b"full")
        with pytest.raises(grpc.RpcError):
            await channel.unary_unary(f"/{SERVICE}/Nothing")(b"")
        call = channel.unary_unary(f"/{SERVICE}/Explain")(b"slow")
        await asyncio.sleep(0.3)
        call.cancel()

    ends = [(record.status, record.kind) for record in calling(play)]
    one = [("INVALID_ARGUMENT", "InputError"), ("DEADLINE_EXCEEDED", "")]
    assert ends[:4] == one * 2
    assert ends[4:] == [
        ("RESOURCE_EXHAUSTED", "QueueFull"), ("UNIMPLEMENTED", "UnknownCall"), ("CANCELLED", ""),
    ]  # fmt: skip


def test_a_refused_call_is_recorded():
    async def play(channel):
        for metadata in ([], [("authorization", "Bearer wrong")], [("authorization", "Bearer r")]):
            with pytest.raises(grpc.RpcError):
                await explain(channel, metadata=metadata)

    records = calling(play, tokens=[Token("reader", frozenset(["admin"]), digest("r"))])
    assert [(r.status, r.kind, r.caller) for r in records] == [
        ("UNAUTHENTICATED", "Unauthenticated", "127.0.0.1"),
        ("UNAUTHENTICATED", "Unauthenticated", "127.0.0.1"),
        ("PERMISSION_DENIED", "Forbidden", "reader"),
    ]
    assert [r.bytes_in for r in records] == [0, 0, 0]  # the requests were never read


@pytest.mark.parametrize(
    ("peer", "host"),
    [("ipv4:10.0.0.7:4123", "10.0.0.7"), ("ipv6:[::1]:4123", "::1"), ("unix:", "unix")],
)
def test_hosts(peer, host):
    assert host_of(peer) == host


RECORD = CallRecord(
    f"/{SERVICE}/Explain", "ipv4:10.0.0.7:4123", "id-1", caller="ci", model="models/net/versions/2",
    bytes_in=2, bytes_out=5, seconds=0.01234, worker={"queue-ms": 1.5, "cache": "hit"},
)  # fmt: skip


@pytest.fixture
def lines(capsys):
    """The lines of the log, configured for a format and then given records and messages."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def logged(log_format, record):
        configure_log(log_format)
        log_call(record)
        logging.getLogger("onnxplain.server").warning("something: %s", "odd")
        logging.getLogger("other").info("unheard")
        try:
            raise ValueError("inside")
        except ValueError:
            logging.getLogger("onnxplain.server").exception("a defect")
        return capsys.readouterr().err.splitlines()

    yield logged
    root.handlers[:], root.level = handlers, level
    logging.getLogger("onnxplain").setLevel(logging.NOTSET)


TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def test_a_line_of_text(lines):
    call, odd, defect, *traceback = lines("text", RECORD)
    assert re.fullmatch(
        f"{TIME} INFO call method={SERVICE}/Explain model=models/net/versions/2 status=OK ms=12.3 "
        "in=2 out=5 peer=ipv4:10.0.0.7:4123 id=id-1 caller=ci queue_ms=1.5 cache=hit",
        call,
    )
    assert re.fullmatch(f"{TIME} WARNING something: odd", odd)
    assert re.fullmatch(f"{TIME} ERROR a defect", defect)
    assert traceback[-1] == "ValueError: inside"


def test_a_line_of_json(lines):
    call, odd, defect = map(json.loads, lines("json", RECORD))
    assert re.fullmatch(TIME, call.pop("time"))
    assert call == {
        "level": "INFO", "logger": "onnxplain.server.edge.call_log", "message": "call",
        "method": f"{SERVICE}/Explain", "model": "models/net/versions/2", "status": "OK",
        "ms": 12.3, "in": 2, "out": 5, "peer": "ipv4:10.0.0.7:4123", "id": "id-1", "caller": "ci",
        "queue_ms": 1.5, "cache": "hit",
    }  # fmt: skip
    assert (odd["level"], odd["message"]) == ("WARNING", "something: odd")
    assert defect["traceback"].endswith("ValueError: inside")


def test_no_value_can_forge_a_line(lines):
    forged = CallRecord("/a/b", "x y\n2026 INFO call", 'i"d', kind="a=b")
    (call, *_) = lines("text", forged)
    assert 'peer="x y\\n2026 INFO call" id="i\\"d"' in call
    assert 'kind="a=b"' in call


def test_health_checks_are_not_logged(lines):
    first, *_ = lines("text", CallRecord("/grpc.health.v1.Health/Check", "p", "i"))
    assert "something: odd" in first


def sampled(metrics):
    """Return the page as {(name, values of the labels in their order...): value}."""
    families = text_string_to_metric_families(metrics.page().decode())
    return {
        (sample.name.removeprefix("onnxplain_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_of_calls():
    metrics = Metrics(QUIET)

    async def play(channel):
        await explain(channel)
        await explain(channel)
        for request in (b"bad", b"full"):
            with pytest.raises(grpc.RpcError):
                await explain(channel, request)

    calling(play, [metrics.observe])
    found = sampled(metrics)
    name = f"{SERVICE}/Explain"
    assert found["calls_total", name, "OK"] == 2
    assert found["calls_total", name, "INVALID_ARGUMENT"] == 1
    assert found["call_seconds_count", name] == 4
    assert found["received_bytes_total", name] == 2 + 2 + 3 + 4
    assert found["sent_bytes_total", name] == 10
    assert found["model_calls_total", "net", "OK"] == 2
    assert found["rejections_total", "QueueFull", "net"] == 1
    assert found["queue_seconds_sum", "net"] == pytest.approx(4 * 0.0015)
    assert found["compute_seconds_sum", "net"] == pytest.approx(4 * 0.02)
    assert found["batch_images_sum", "net"] == 12
    assert found["plan_cache_total", "net", "hit"] == 4
    assert ("rejections_total", "InputError", "net") not in found


def test_metrics_of_the_service_as_a_whole():
    admitted = {"models/a/versions/1": 2, "models/a/versions/2": 1, "models/b": 1}
    metrics = Metrics(SimpleNamespace(admitted=admitted, restarts=3, up=2))
    found = sampled(metrics)
    assert found["calls_in_service", "a"] == 3
    assert found["calls_in_service", "b"] == 1
    assert (found["worker_restarts_total",], found["workers",]) == (3, 2)
    if Path("/proc/self").exists():
        assert found["process_resident_memory_bytes",] > 2**20


def test_labels_are_bounded():
    metrics = Metrics(QUIET)
    facts = {"queue-ms": 1, "compute-ms": 1, "batch": 1, "cache": "hit"}
    for number in range(MOST_MODELS + 5):
        for model in ("again", f"m{number}"):
            name = f"models/{model}/versions/1"
            kind = "QueueFull"
            metrics.observe(CallRecord("/a/b", "", "", model=name, kind=kind, worker=facts))
        metrics.observe(CallRecord(f"/a/made_up_{number}", "", ""))
    found = sampled(metrics)
    kept = {"again", *(f"m{number}" for number in range(6, MOST_MODELS + 5))}
    series = {key[0]: set() for key in found if kept & set(key)}
    assert len(series) > 6
    for name in series:
        series[name] = {label for key in found if key[0] == name for label in key[1:]}
        assert kept <= series[name]
        assert not any(f"m{number}" in series[name] for number in range(6))
    assert found["model_calls_total", "again", "OK"] == MOST_MODELS + 5
    assert found["calls_total", "other", "OK"] == 3 * (MOST_MODELS + 5)


def test_what_the_worker_says_must_be_numbers():
    metrics = Metrics(QUIET)
    facts = {"queue-ms": "x", "compute-ms": "inf", "batch": "", "cache": "forged"}
    metrics.observe(CallRecord("/a/b", "", "", model="models/net", worker=facts))
    found = sampled(metrics)
    assert ("queue_seconds_sum", "net") not in found
    assert ("compute_seconds_sum", "net") not in found
    assert ("plan_cache_total", "net", "forged") not in found
