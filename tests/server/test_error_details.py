"""What a program reads of a failed call, and that it passes an edge unchanged."""

import asyncio

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, DebugInfo, ErrorInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from grpc_status import rpc_status
from server.running import event_loop, pixels

from onnxplain.engine import Engine
from onnxplain.graphops import errors
from onnxplain.inference import open_inference_pb2
from onnxplain.server.error_details import status_details
from onnxplain.server.errors import STATUS, ErrorInterceptor
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

MODEL = "models/classifier"
IMAGE = pb.Image(pixels=tensors.from_array(pixels()))
EXPLAIN = pb.ExplainRequest(model=MODEL, images=[IMAGE])
SERVICE = "onnxplain.v1.ExplainService"
PROXY = [("grpc.enable_http_proxy", 0)]


def failure(call, *arguments):
    with pytest.raises(grpc.RpcError) as caught:
        list(call(*arguments, timeout=10))
    return caught.value


def details(error):
    """Return the details of a failed call by their type."""
    status = rpc_status.from_call(error)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    found = {}
    for one in status.details:
        for kind in (BadRequest, DebugInfo, ErrorInfo, ResourceInfo, RetryInfo):
            if one.Is(kind.DESCRIPTOR):
                found[kind] = kind.FromString(one.value)
    assert len(found) == len(status.details)
    return found


def raising(monkeypatch, error):
    def fail(*arguments, **choices):
        raise error

    monkeypatch.setattr(Engine, "explain_units", fail)


def fields_of(error):
    violations = details(error)[BadRequest].field_violations
    assert {v.description for v in violations} == {error.details()}
    return [v.field for v in violations]


def test_a_wrong_field_is_named(stub_here):
    nothing = pb.ExplainRequest(model=MODEL, images=[IMAGE, pb.Image()])
    assert fields_of(failure(stub_here.ExplainUnits, nothing)) == ["images[1]"]
    short = pb.Tensor(data_type=pb.DATA_TYPE_FLOAT, shape=[5], data=b"1")
    baseline = pb.ExplainRequest(model=MODEL, images=[IMAGE])
    baseline.method_options.baseline.CopyFrom(short)
    assert fields_of(failure(stub_here.ExplainUnits, baseline)) == ["method_options.baseline"]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("inputs[0].images: empty", ["inputs[0].images"]),
        ("layer, method: set one of them", ["layer", "method"]),
        ("layer: 'a: b' is none", ["layer"]),
        ("layer[0]: one layer only", []),  # not a list
        ("layer.name: a text", []),
        ("layer, colour: set one of them", []),
        ("checkpoint 'a': images: empty", []),
        ("no layer: nothing to explain", []),
        ("layer", []),
    ],
)
def test_fields_are_read_off_the_text_where_the_request_has_them(
    stub_here, monkeypatch, text, fields
):
    raising(monkeypatch, errors.OptionError(text))
    error = failure(stub_here.ExplainUnits, EXPLAIN)
    assert (fields_of(error) if BadRequest in details(error) else []) == fields


def test_a_key_of_a_map_is_a_field():
    def fields(text):
        service = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
        code, method = StatusCode.INVALID_ARGUMENT, f"/{service.full_name}/ModelInfer"
        status = Status.FromString(status_details(code, text, "InputError", method))
        found = [BadRequest.FromString(one.value) for one in status.details[1:]]
        return [violation.field for one in found for violation in one.field_violations]

    assert fields("parameters.method: none such") == ["parameters.method"]
    assert fields("inputs[1].parameters.size: none such") == ["inputs[1].parameters.size"]
    assert fields("parameters.method.colour: none such") == []


def test_a_missing_thing_is_named(stub_here):
    def resource(call, request):
        found = details(failure(call, request))[ResourceInfo]
        return found.resource_type, found.resource_name

    layers = pb.CheckRequest(model="models/nothing"), pb.CheckRequest(model=f"{MODEL}/versions/9")
    as_list = lambda request, timeout: [stub_here.Check(request, timeout)]  # noqa: E731
    assert resource(as_list, layers[0]) == ("model", "models/nothing")
    assert resource(as_list, layers[1]) == ("model", "models/classifier/versions/9")
    odd = pb.ExplainRequest(model=MODEL, images=[IMAGE], layer="layer's 'own' name")
    assert resource(stub_here.ExplainUnits, odd) == ("layer", "layer's 'own' name")


@pytest.mark.parametrize("error", STATUS, ids=lambda error: error.__name__)
def test_only_what_is_safe_to_repeat_says_when(stub_here, monkeypatch, error):
    raising(monkeypatch, error("what, where, and what to do"))
    found = details(failure(stub_here.ExplainUnits, EXPLAIN))
    assert (RetryInfo in found) == (error.__name__ in ("QueueFull", "NoWorker"))
    assert DebugInfo not in found
    assert found[ErrorInfo].domain == "onnxplain"
    assert found[ErrorInfo].reason.replace("_", "") == error.__name__.upper()


def test_a_defect_has_no_more_details_than_its_text(stub_here, monkeypatch):
    raising(monkeypatch, ZeroDivisionError("the secret of /srv/models"))
    assert set(details(failure(stub_here.ExplainUnits, EXPLAIN))) == {ErrorInfo}


@pytest.mark.parametrize("letter", ["a", "ä", "日", "😀"])
def test_long_texts_arrive_with_their_details(stub_here, monkeypatch, letter):
    raising(monkeypatch, errors.OptionError("layer: " + letter * 10_000))
    error = failure(stub_here.ExplainUnits, EXPLAIN)
    assert error.code() is StatusCode.INVALID_ARGUMENT
    assert set(error.details().removeprefix("layer: ")) == {letter}
    assert fields_of(error) == ["layer"]


def test_what_is_no_message_is_the_callers_mistake(address_here):
    with grpc.insecure_channel(address_here, PROXY) as channel:
        for call in ("Explain", "Check"):
            garbage = channel.unary_unary(f"/{SERVICE}/{call}")
            error = failure(lambda r, timeout, c=garbage: [c(r, timeout)], b"\xff\xff\xff")
            assert error.code() is StatusCode.INVALID_ARGUMENT
            assert f"no message of {call}" in error.details()
            assert dict(error.trailing_metadata())["onnxplain-error"] == "InputError"
        error = failure(channel.unary_stream(f"/{SERVICE}/View"), b"\x0a\xff")
        assert error.code() is StatusCode.INVALID_ARGUMENT


def test_a_call_without_its_request_ends(address):
    with grpc.insecure_channel(address, PROXY) as channel:
        for call in ("Check", "GetOperation"):
            empty = channel.stream_unary(f"/{SERVICE}/{call}")
            error = failure(lambda r, timeout, c=empty: [c(r, timeout)], iter(()))
            assert error.code() is StatusCode.INVALID_ARGUMENT
            assert f"{call} came without a request" in error.details()
        error = failure(channel.stream_stream(f"/{SERVICE}/View"), iter(()))
        assert error.code() is StatusCode.INVALID_ARGUMENT


def test_a_call_that_is_not_offered(address_here):
    with grpc.insecure_channel(address_here, PROXY) as channel:
        error = failure(channel.unary_stream(f"/{SERVICE}/Foretell"), b"")
    assert error.code() is StatusCode.UNIMPLEMENTED
    assert dict(error.trailing_metadata())["onnxplain-error"] == "UnknownCall"


class Forwarder(grpc.GenericRpcHandler):
    """Passes calls to a worker, unread, as every kind of handler."""

    def __init__(self, address):
        self.channel = grpc.aio.insecure_channel(address, PROXY)

    async def all_of(self, request, context):
        async for message in self.channel.unary_stream(self.method)(request, timeout=10):
            yield message

    async def of_stream(self, requests, context):
        async for request in requests:
            async for message in self.all_of(request, context):
                yield message

    async def one_of_stream(self, requests, context):
        return [message async for message in self.of_stream(requests, context)][0]

    async def one_of(self, request, context):
        return [message async for message in self.all_of(request, context)][0]

    def service(self, details):
        self.method = f"/{SERVICE}/ExplainUnits"
        return {
            "Explain": grpc.unary_unary_rpc_method_handler(self.one_of),
            "ExplainUnits": grpc.unary_stream_rpc_method_handler(self.all_of),
            "UploadModel": grpc.stream_unary_rpc_method_handler(self.one_of_stream),
            "View": grpc.stream_stream_rpc_method_handler(self.of_stream),
        }.get(details.method.rpartition("/")[2])


@pytest.fixture(scope="module")
def edge(address_here):
    async def start():
        server = grpc.aio.server(interceptors=[ErrorInterceptor()])
        server.add_generic_rpc_handlers([Forwarder(address_here)])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    with event_loop() as loop:
        server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        with grpc.insecure_channel(f"127.0.0.1:{port}", PROXY) as channel:
            yield channel
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(10)


def calls(channel):
    """Yield every kind of call as one that takes one request and gives a list."""
    name = f"/{SERVICE}/"
    yield lambda r, timeout: [channel.unary_unary(name + "Explain")(r, timeout)]
    yield lambda r, timeout: channel.unary_stream(name + "ExplainUnits")(r, timeout)
    yield lambda r, timeout: [channel.stream_unary(name + "UploadModel")(iter([r]), timeout)]
    yield lambda r, timeout: channel.stream_stream(name + "View")(iter([r]), timeout)


def lasting(error):
    """Return the trailing metadata, but for the times that the call took."""
    return sorted(
        (key, "" if key.endswith("-ms") else value) for key, value in error.trailing_metadata()
    )


def test_a_workers_failure_passes_the_edge_unchanged(stub_here, edge):
    request = pb.ExplainRequest(model=MODEL, images=[IMAGE], layer="größer")
    own = failure(stub_here.ExplainUnits, request)
    for call in calls(edge):
        passed = failure(call, request.SerializeToString())
        assert passed.code() is own.code() is StatusCode.NOT_FOUND
        assert passed.details() == own.details()
        assert lasting(passed) == lasting(own)


def test_what_arrives_passes_too(stub_here, edge):
    own = [m.SerializeToString() for m in stub_here.ExplainUnits(EXPLAIN, 10)]
    one, stream, one_of_stream, streams = (
        list(call(EXPLAIN.SerializeToString(), timeout=10)) for call in calls(edge)
    )
    assert one == one_of_stream == own[:1]
    assert stream == streams == own
