"""Calls that the service did not begin are repeated, within the deadline, and no others are."""

import socket
import threading
import time

import pytest
from client.scripted import CALLS, Failure, Scripted, serving
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from grpc import StatusCode

from onnxplain.client import errors

NO_WORKER = Failure(StatusCode.UNAVAILABLE, "NoWorker")
FULL = Failure(StatusCode.RESOURCE_EXHAUSTED, "QueueFull")


def full(seconds):
    retry = RetryInfo(retry_delay=Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9)))
    return Failure(StatusCode.RESOURCE_EXHAUSTED, "QueueFull", retry)


@pytest.fixture(autouse=True)
def short_delays(monkeypatch):
    monkeypatch.setattr("onnxplain.client.connection.FIRST_DELAY", 0.01)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("failure", [NO_WORKER, FULL])
def test_a_call_that_was_not_begun_is_repeated(call, failure):
    service = Scripted([failure, failure, failure])
    with serving(service) as address:
        assert [method.name for method in call(address, "methods")] == ["gradient"]
    assert len(service.calls) == 4


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("retries", "made"), [(0, 1), (2, 3)])
def test_it_is_repeated_as_often_as_asked(call, retries, made):
    service = Scripted([NO_WORKER] * 9)
    with serving(service) as address, pytest.raises(errors.UnavailableError) as caught:
        call(address, "methods", retries=retries)
    assert caught.value.kind == "NoWorker"
    assert len(service.calls) == made


@pytest.mark.parametrize("call", CALLS)
def test_the_service_says_when_to_come_back(call):
    service = Scripted([full(0.4)])
    with serving(service) as address:
        start = time.monotonic()
        call(address, "methods")
        assert time.monotonic() - start >= 0.4
    assert len(service.calls) == 2


@pytest.mark.parametrize("call", CALLS)
def test_no_call_waits_beyond_its_deadline(call):
    service = Scripted([full(30)])
    with serving(service) as address:
        start = time.monotonic()
        with pytest.raises(errors.ResourceExhaustedError) as caught:
            call(address, "methods", timeout=20)
        assert time.monotonic() - start < 10
    assert (caught.value.kind, caught.value.retry_delay) == ("QueueFull", 30)
    assert len(service.calls) == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure(StatusCode.ABORTED, "WorkerDied"), errors.AbortedError),
        (Failure(StatusCode.UNAVAILABLE, "DeviceError"), errors.UnavailableError),
        (Failure(StatusCode.UNAVAILABLE, text="Socket closed"), errors.UnavailableError),
        (Failure(StatusCode.RESOURCE_EXHAUSTED, "OutOfMemory"), errors.ResourceExhaustedError),
        (Failure(StatusCode.INTERNAL, "InternalError"), errors.InternalError),
        (Failure(StatusCode.DEADLINE_EXCEEDED, "Cancelled"), errors.DeadlineExceededError),
    ],
)
def test_no_other_failure_is_repeated(call, failure, error):
    service = Scripted([failure, failure])
    with serving(service) as address, pytest.raises(error) as caught:
        call(address, "methods")
    assert type(caught.value) is error
    assert caught.value.code is failure.code
    assert len(service.calls) == 1


@pytest.mark.parametrize("call", CALLS)
def test_a_stream_that_has_begun_is_not_repeated(call):
    service = Scripted([NO_WORKER, NO_WORKER], after_messages=1)
    with serving(service) as address, pytest.raises(errors.UnavailableError):
        call(address, "rewrite", "net")
    assert service.calls == ["Rewrite"]
    service = Scripted([NO_WORKER, NO_WORKER])
    with serving(service) as address, pytest.raises(errors.DataLossError):
        call(address, "rewrite", "net")  # ends without a message
    assert service.calls == ["Rewrite"] * 3


@pytest.mark.parametrize("call", CALLS)
def test_a_service_that_comes_up(call):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    found = []

    def ask():
        found.append(call(f"127.0.0.1:{port}", "methods", retries=10))

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    with serving(Scripted(), port):
        thread.join(20)
    assert [method.name for method in found[0]] == ["gradient"]


@pytest.mark.parametrize("call", CALLS)
def test_a_connection_lost_on_the_way_is_not_repeated(call):
    """The service may have done the work, and the call may be what ended it."""
    calls = []

    class Dying(Scripted):
        def ListMethods(self, request, context):
            calls.append("ListMethods")
            listener.shutdown(socket.SHUT_RDWR)
            for one in connections:
                one.shutdown(socket.SHUT_RDWR)
            context.abort(StatusCode.CANCELLED, "")

    connections = []
    with serving(Dying()) as behind, socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=relay, args=(listener, behind, connections)).start()
        with pytest.raises(errors.UnavailableError):
            call(f"127.0.0.1:{listener.getsockname()[1]}", "methods")
    assert calls == ["ListMethods"]


def relay(listener, behind, connections):
    """Pass on what two ends of a connection say, until either closes."""
    host, port = behind.split(":")
    with listener.accept()[0] as near, socket.create_connection((host, int(port))) as far:
        connections += [near, far]

        def passed_on(source, sink):
            while data := source.recv(65536):
                sink.sendall(data)

        back = threading.Thread(target=quietly, args=(passed_on, far, near))
        back.start()
        quietly(passed_on, near, far)
        back.join(10)


def quietly(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        return


@pytest.mark.parametrize("call", CALLS)
def test_a_negative_number_of_retries(call):
    with pytest.raises(errors.InvalidArgumentError, match="retries=-1"):
        call("127.0.0.1:1", "methods", retries=-1)
