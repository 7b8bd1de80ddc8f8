"""Operations of a whole service: the results of its calls, also after the edge was killed."""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import contextmanager

import grpc
import pytest
from grpc import StatusCode
from server.running import event_loop, pixels

from onnxplain.server import make_token, start_settings
from onnxplain.server.settings import Settings
from onnxplain.server.tokens import Token, digest
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc, tensors

IMAGES = [pb.Image(pixels=tensors.from_array(pixels(seed=seed))) for seed in range(4)]
PROXY = [("grpc.enable_http_proxy", 0)]
MODEL = "models/classifier"
VIEW = pb.ViewRequest(model=MODEL, images=IMAGES[:1], maps=pb.MapsView())
EVALUATE = pb.EvaluateRequest(model=MODEL, images=IMAGES[:2], methods=["gradient", "deconvnet"])
LONG = pb.EvaluateRequest(model=MODEL, images=IMAGES, methods=["rise", "gradient"])
SERVE = """
import sys
from pathlib import Path
from onnxplain.server import Settings, serve_settings

models, state = map(Path, sys.argv[1:])
settings = Settings((models,), state=state, listen=("127.0.0.1:0",), device=("cpu",))
serve_settings(settings, lambda address: print(address, flush=True))
"""


def start(stub, **work):
    return stub.StartOperation(pb.StartOperationRequest(**work), timeout=10).operation


def wait(stub, operation):
    return stub.WaitOperation(pb.WaitOperationRequest(name=operation.name), timeout=60).operation


def read(stub, operation):
    return list(stub.ReadOperation(pb.ReadOperationRequest(name=operation.name), timeout=10))


def fails(call, *arguments, **choices):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **choices)
    return caught.value.code(), caught.value.details()


@contextmanager
def service(**choices):
    """Serve in this process, and give a stub."""
    settings = Settings(listen=("127.0.0.1:0",), device=("cpu",), **choices)
    with event_loop() as loop:

        def run(coroutine):
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

        running = run(start_settings(settings))
        try:
            with grpc.insecure_channel(running.address, PROXY) as channel:
                yield explain_pb2_grpc.ExplainServiceStub(channel)
        finally:
            run(running.stop(0))


@contextmanager
def process(folder, state):
    """Serve in a process of its own, and give it and a stub."""
    command = [sys.executable, "-c", SERVE, str(folder), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as edge:
        try:
            address = edge.stdout.readline().strip()
            with grpc.insecure_channel(address, PROXY) as channel:
                yield edge, explain_pb2_grpc.ExplainServiceStub(channel)
        finally:
            edge.terminate()


def test_the_results_are_those_of_the_call(stub):
    view, evaluation = start(stub, view=VIEW), start(stub, evaluate=EVALUATE)
    assert wait(stub, view).state == wait(stub, evaluation).state == pb.OPERATION_STATE_SUCCEEDED
    direct = [part for part in stub.View(VIEW) if not part.HasField("progress")]
    assert [message.view for message in read(stub, view)] == direct
    direct = [part for part in stub.Evaluate(EVALUATE) if not part.HasField("progress")]
    assert [message.evaluate for message in read(stub, evaluation)] == direct
    assert [part.method.method for part in direct] == ["gradient", "deconvnet", "random"]


def test_a_failure_is_that_of_the_call(stub):
    wrong = pb.ViewRequest(model=MODEL, images=IMAGES[:1], maps=pb.MapsView(layer="nothing"))
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.View(wrong))
    failed = wait(stub, start(stub, view=wrong))
    assert failed.state == pb.OPERATION_STATE_FAILED
    assert failed.code == caught.value.code().value[0] == StatusCode.NOT_FOUND.value[0]
    assert failed.error == caught.value.details()
    assert failed.error_kind == "UnknownLayer"


def test_a_service_in_one_process_says_that_it_has_none(stub_here):
    with pytest.raises(grpc.RpcError, match="--in-process") as caught:
        start(stub_here, view=VIEW)
    assert caught.value.code() is StatusCode.UNIMPLEMENTED


def test_tokens_tell_callers_and_edges_apart(folder, stub):
    texts = {name: make_token(name, ["infer"])[0] for name in ("ann", "bob")}
    tokens = [Token(name, frozenset(["infer"]), digest(text)) for name, text in texts.items()]
    ann, bob = ([("authorization", f"Bearer {text}")] for text in texts.values())
    with service(models=(folder,), tokens=tuple(tokens)) as guarded:
        work = pb.StartOperationRequest(view=VIEW)
        operation = guarded.StartOperation(work, metadata=ann).operation
        request = pb.GetOperationRequest(name=operation.name)
        assert guarded.GetOperation(request, metadata=ann).operation.name == operation.name
        everything = pb.ListOperationsRequest()
        assert len(guarded.ListOperations(everything, metadata=ann).operations) == 1
        assert len(guarded.ListOperations(everything, metadata=bob).operations) == 0
        assert fails(guarded.GetOperation, request)[0] is StatusCode.UNAUTHENTICATED
        of_bob = fails(guarded.GetOperation, request, metadata=bob)
        for code, text in (of_bob, fails(stub.GetOperation, request)):
            assert code is StatusCode.NOT_FOUND
            assert "the process of the service that started it" in text


def test_operations_outlive_an_edge_that_is_killed(folder, tmp_path):
    with process(folder, tmp_path) as (edge, stub):
        done = wait(stub, start(stub, view=VIEW))
        results = read(stub, done)
        long = start(stub, evaluate=LONG)
        while stub.GetOperation(pb.GetOperationRequest(name=long.name)).operation.state == 1:
            time.sleep(0.005)
        edge.kill()
        edge.wait(10)
    with process(folder, tmp_path) as (_, stub):
        assert read(stub, done) == results
        again = wait(stub, long)
        assert again.state == pb.OPERATION_STATE_SUCCEEDED
        methods = [message.evaluate.method.method for message in read(stub, long)]
        assert methods == ["rise", "gradient", "random"]
    (record,) = (tmp_path / "operations").glob(f"{long.name.removeprefix('operations/')}.json")
    assert json.loads(record.read_text())["starts"] == 2
