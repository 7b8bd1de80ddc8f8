"""Two edges before three workers that stand alone, all on this machine, with certificates."""

import asyncio
import contextlib
import signal
import subprocess
import sys

import grpc
import pytest
from server.certificates import Authority
from server.edges import NO_PROXY, check, eventually, failure, workers_of, write_copies
from server.running import event_loop, pixels

from onnxplain.server import Settings, start_settings
from onnxplain.server.edge.routing import choose
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc, tensors

NAMES = [f"net{i}" for i in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_copies(tmp_path_factory.mktemp("models"), NAMES)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


def worker(folder, authority, number):
    cert, key = authority.issue(f"worker{number}")
    command = [sys.executable, "-m", "onnxplain.cli", "worker", "--listen", "127.0.0.1:0"]
    command += ["--models", folder, "--device", "cpu", "--worker-cert", cert, "--worker-key", key]
    return subprocess.Popen(
        [*command, "--worker-ca", authority.path], stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def workers(folder, authority):
    with contextlib.ExitStack() as leaving:
        started = [leaving.enter_context(worker(folder, authority, i)) for i in range(3)]
        for process in started:
            leaving.callback(process.kill)
        found = {}
        for process in started:
            line = process.stdout.readline().strip()
            assert line.startswith("worker on 127.0.0.1:")
            found[line.removeprefix("worker on ")] = process
        yield found


@contextlib.contextmanager
def edge(folder, workers, cert, key, ca):
    settings = Settings(
        models=(folder,), listen=("127.0.0.1:0",), remote_workers=tuple(workers),
        worker_cert=cert, worker_key=key, worker_ca=ca, warm=False,
    )  # fmt: skip
    with event_loop() as loop:

        def wait(coroutine):
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

        service = wait(start_settings(settings))
        try:
            with grpc.insecure_channel(service.address, NO_PROXY) as channel:
                yield explain_pb2_grpc.ExplainServiceStub(channel)
        finally:
            wait(service.stop(0))


def test_two_edges_share_three_workers(folder, workers, authority):
    first = edge(folder, workers, *authority.issue("edge1"), authority.path)
    second = edge(folder, workers, *authority.issue("edge2"), authority.path)
    with first as one, second as other:
        for stub in (one, other):
            for name in NAMES:
                assert eventually(lambda stub=stub, name=name: check(stub, name)).ok
        started = one.StartOperation(
            pb.StartOperationRequest(evaluate=pb.EvaluateRequest(model="models/net0"))
        ).operation
        asked = pb.GetOperationRequest(name=started.name)
        with pytest.raises(grpc.RpcError, match="edge|service") as caught:
            other.GetOperation(asked)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

        place = choose("models/net0/versions/1", list(workers), str)
        image = pb.Image(pixels=tensors.from_array(pixels(100, 100)))
        running = one.View(
            pb.ViewRequest(
                model="models/net0", images=[image], occlusion=pb.OcclusionView(window=1, stride=1)
            )
        )
        assert next(running).WhichOneof("part") == "progress"
        gone = workers.pop(place)
        gone.kill()
        gone.wait()
        assert failure(list, running) == (grpc.StatusCode.ABORTED, "WorkerDied")
        assert eventually(lambda: check(one, "net0")).ok
        # The model is no suspect, which would run in a worker of this machine.
        assert set(workers_of()) == {process.pid for process in workers.values()}
        for stub in (one, other):
            for name in NAMES:
                assert eventually(lambda stub=stub, name=name: check(stub, name)).ok
        leaving = next(iter(workers.values()))
        leaving.send_signal(signal.SIGTERM)
        assert leaving.wait(20) == 0
        for stub in (one, other):
            assert eventually(lambda stub=stub: check(stub, "net1")).ok


def test_a_stranger_is_not_served(folder, workers, authority, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    with edge(folder, workers, *stranger.issue("edge3"), authority.path) as stub:
        ended = failure(check, stub, "net0")
    assert ended == (grpc.StatusCode.UNAVAILABLE, "NoWorker")


def test_a_public_worker_needs_certificates(folder):
    command = [sys.executable, "-m", "onnxplain.cli", "worker", "--listen", "0.0.0.0:0"]
    ended = subprocess.run([*command, "--models", folder], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "needs all three of a certificate" in ended.stderr
