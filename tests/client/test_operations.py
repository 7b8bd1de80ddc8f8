"""Operations: started, waited for, read, cancelled, and found again."""

import time

import numpy as np
import pytest
from client.scripted import Scripted, serving
from grpc import StatusCode
from server.running import pixels

from onnxplain.client import Client, errors
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

RUNNING, SUCCEEDED = pb.OPERATION_STATE_RUNNING, pb.OPERATION_STATE_SUCCEEDED


class Operating(Scripted):
    """Has one operation, which ends at the third call of WaitOperation."""

    def __init__(self, **end):
        super().__init__()
        self.end = {"state": SUCCEEDED, **end}
        self.operation = pb.Operation()
        self.waits = []

    def StartOperation(self, request, context):
        self.request = request
        work = request.WhichOneof("work")
        self.operation = pb.Operation(
            name="operations/1", call=work.title(), model=getattr(request, work).model,
            state=RUNNING,
        )  # fmt: skip
        self.operation.create_time.FromSeconds(1_700_000_000)
        return pb.StartOperationResponse(operation=self.operation)

    def WaitOperation(self, request, context):
        self.waits.append(request.timeout_seconds)
        if len(self.waits) >= 3:
            self.operation.MergeFrom(pb.Operation(**self.end))
        self.operation.progress.CopyFrom(pb.Progress(done=len(self.waits), total=3))
        return pb.WaitOperationResponse(operation=self.operation)

    def GetOperation(self, request, context):
        return pb.GetOperationResponse(operation=self.operation)

    def ListOperations(self, request, context):
        number = int(request.page_token or 1)
        token = str(number + 1) if number < 3 else ""
        one = pb.Operation(name=f"operations/{number}")
        return pb.ListOperationsResponse(operations=[one], next_page_token=token)

    def CancelOperation(self, request, context):
        self.operation.state = pb.OPERATION_STATE_CANCELLED
        return pb.CancelOperationResponse(operation=self.operation)

    def DeleteOperation(self, request, context):
        self.calls.append(f"delete {request.name}")
        return pb.DeleteOperationResponse()

    def ReadOperation(self, request, context):
        if self.operation.call == "Evaluate":
            done = pb.MethodEvaluation(method="random")
            yield pb.ReadOperationResponse(evaluate=pb.EvaluateResponse(method=done))
            return
        yield pb.ReadOperationResponse(view=pb.ViewResponse(png=b"%PDF-1.4 "))
        yield pb.ReadOperationResponse(view=pb.ViewResponse(png=b"and more"))
        (part,) = tensors.split(np.arange(3.0))
        named = pb.NamedTensor(name="score", values=part)
        yield pb.ReadOperationResponse(view=pb.ViewResponse(tensor=named))


@pytest.fixture
def start():
    """Give a function that starts an operation of a service, by a client."""
    contexts = []

    def started(service, timeout=None, method="start_view", arguments=(b"picture", "maps")):
        served = serving(service)
        client = Client(served.__enter__(), timeout=timeout)
        contexts.extend([client, served])
        return client, getattr(client, method)("net", *arguments)

    yield started
    for context in contexts:
        context.__exit__(None, None, None)


def test_a_view(start):
    service, told = Operating(), []
    _, operation = start(service)
    assert service.request.view.model == "models/net"
    assert (operation.name, operation.state, operation.done) == ("operations/1", "running", False)
    assert operation.created.timestamp() == 1_700_000_000
    assert repr(operation) == "operations/1: View of models/net, running, 0 of 0"
    assert operation.wait(progress=lambda *state: told.append(state))
    assert told == [(1, 3), (2, 3), (3, 3)]
    view = operation.result()
    assert (view.drawing, view.format) == (b"%PDF-1.4 and more", "pdf")
    np.testing.assert_array_equal(view.arrays["score"], [0, 1, 2])
    operation.delete()
    assert service.calls == ["delete operations/1"]


def test_an_evaluation(start):
    service = Operating()
    _, operation = start(service, None, "start_evaluate", (pixels(), ["gradient"]))
    assert list(service.request.evaluate.methods) == ["gradient"]
    assert [each.method for each in operation.result()] == ["random"]


def test_an_operation_that_fails(start):
    failed = {
        "state": pb.OPERATION_STATE_FAILED,
        "code": StatusCode.NOT_FOUND.value[0],
        "error": "no layer 'x'",
        "error_kind": "UnknownLayer",
    }
    _, operation = start(Operating(**failed))
    with pytest.raises(errors.NotFoundError, match="^no layer 'x'$") as caught:
        operation.result()
    assert caught.value.kind == "UnknownLayer"


def test_an_operation_that_is_cancelled(start):
    _, operation = start(Operating())
    operation.cancel()
    assert (operation.state, operation.done) == ("cancelled", True)
    with pytest.raises(errors.ClientError, match="operations/1 was cancelled") as caught:
        operation.result()
    assert (caught.value.code, caught.value.kind) == (StatusCode.CANCELLED, "Cancelled")


def test_the_wait_is_bounded(start):
    """By its own limit, and not by the client's timeout for a call."""

    class Endless(Operating):
        def WaitOperation(self, request, context):
            self.waits.append(request.timeout_seconds)
            time.sleep(request.timeout_seconds)
            return pb.WaitOperationResponse(operation=self.operation)

    service = Endless()
    _, operation = start(service, timeout=0.2)
    assert not operation.wait(0.5)
    assert 0.4 < service.waits[0] <= 0.5
    with pytest.raises(errors.DeadlineExceededError, match=r"within 0\.1 seconds: it goes on"):
        operation.result(0.1)


def test_it_is_found_again(start):
    service = Operating()
    client, operation = start(service)
    service.operation.state = SUCCEEDED
    again = client.operation(operation.name)
    assert (again.name, again.state) == (operation.name, "succeeded")
    operation.refresh()
    assert operation.done
    names = [one.name for one in client.operations()]
    assert names == ["operations/1", "operations/2", "operations/3"]
