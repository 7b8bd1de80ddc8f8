"""The processes of a service: what workers can see, and what is left when an edge ends."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc
import onnx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server.edges import (
    NO_PROXY,
    ODD_WORKER,
    channel_to,
    check,
    eventually,
    workers_of,
    write_copies,
)
from server.running import CLASSIFIER, model

from onnxplain.graphops.errors import DeviceError, ServiceError
from onnxplain.server import start
from onnxplain.server.edge.private_folders import PrivateFolder
from onnxplain.v1 import explain_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

PROGRAM = """
import sys
from pathlib import Path
from onnxplain.server import Settings, serve_settings
from onnxplain.server.edge import spawning

models, worker, workers = sys.argv[1:]
spawning.COMMAND = (sys.executable, worker)
settings = Settings(
    (Path(models),), listen=("127.0.0.1:0",), device=("cpu",), workers=int(workers), warm=False
)
serve_settings(settings, lambda address: print(address, flush=True))
heavy = {"onnx", "onnxruntime", "PIL", "numpy", "onnxplain.engine"} & set(sys.modules)
print(f"stopped, loaded {heavy}", flush=True)
"""


@contextlib.contextmanager
def program(folder, workers=1):
    """Run a service in a process of its own, and give the process and a channel to it."""
    command = [sys.executable, "-c", PROGRAM, folder, ODD_WORKER, str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip()
            with grpc.insecure_channel(address, NO_PROXY) as channel:
                yield process, channel
        finally:
            process.kill()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_end_with_an_edge_that_is_killed(tmp_path):
    write_copies(tmp_path, ["hold"])
    with program(tmp_path, workers=2) as (edge, channel):
        workers = workers_of(edge.pid)
        assert len(workers) == 2
        explain_pb2_grpc.ExplainServiceStub(channel)
        holding = threading.Thread(target=end_of, args=(channel, "hold"))
        holding.start()  # this one cannot react to anything
        time.sleep(0.3)
        edge.kill()
        edge.wait()
        assert eventually(lambda: not any(map(alive, workers)))
        holding.join()


def end_of(channel, name):
    try:
        return check(explain_pb2_grpc.ExplainServiceStub(channel), name).ok
    except grpc.RpcError as error:
        return error.code()


def test_a_stopped_service_finishes_what_runs(tmp_path):
    write_copies(tmp_path, ["slow"])
    with program(tmp_path) as (edge, channel):
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == SERVING
        (worker,) = workers_of(edge.pid)
        ends = []
        running = threading.Thread(target=lambda: ends.append(end_of(channel, "slow")))
        running.start()
        time.sleep(0.4)
        os.kill(worker, signal.SIGTERM)  # as for all processes of a service: it is the edge's call
        edge.send_signal(signal.SIGTERM)
        assert next(watch).status == NOT_SERVING
        running.join()
        assert ends == [True]
        assert edge.stdout.readline() == "stopped, loaded set()\n"
        assert edge.wait(10) == 0
        assert not alive(worker)


def test_a_worker_sees_no_secrets_and_an_empty_folder(tmp_path, monkeypatch):
    write_copies(tmp_path, ["good"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("ONNXPLAIN_TOKEN", "secret")
    with channel_to(tmp_path):
        (worker,) = workers_of()
        process = Path(f"/proc/{worker}")
        assert b"secret" not in (process / "environ").read_bytes()
        assert list((process / "cwd").iterdir()) == []
        private = (process / "cwd").resolve().parent.parent
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert "Max core file size        0 " in (process / "limits").read_text()
    assert not private.exists()


def test_a_service_is_ready_before_its_models_are_warm(tmp_path):
    write_copies(tmp_path, [f"net{i}" for i in range(10)])
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    begun = time.monotonic()
    with channel_to(tmp_path, warm=True) as channel:
        assert time.monotonic() - begun < 15  # under 3 s on an idle machine
        health = health_pb2_grpc.HealthStub(channel)
        state = lambda name: health.Check(health_pb2.HealthCheckRequest(service=name)).status  # noqa: E731
        assert state("") == SERVING
        for name in ("models/net9", "models/net0/versions/1"):
            assert eventually(lambda name=name: state(name) == SERVING)
        assert state("models/bad") == NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            state("models/nowhere")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = health.Watch(health_pb2.HealthCheckRequest(service="models/bad"), timeout=30)
        assert next(watch).status == NOT_SERVING
        onnx.save(model(CLASSIFIER), tmp_path / "bad.onnx")
        assert next(watch).status == SERVING
        watch.cancel()


def test_folders_of_killed_edges_are_removed(monkeypatch):
    with tempfile.TemporaryDirectory() as short:  # sockets have short paths
        folders_of_killed_edges(Path(short), monkeypatch)


def folders_of_killed_edges(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned, fresh, unmarked, foreign = (
        tmp_path / name for name in ("onnxplain-old", "onnxplain-new", "onnxplain-notes", "other")
    )
    held = PrivateFolder()
    for folder in (abandoned, fresh, unmarked, foreign):
        folder.mkdir()
    for folder in (abandoned, fresh, foreign):
        (folder / ".edge").touch()
    for folder in (abandoned, unmarked, foreign, held.path):
        os.utime(folder, (0, 0))
    PrivateFolder().close()
    assert sorted(tmp_path.iterdir()) == sorted([foreign, fresh, unmarked, held.path])
    held.close()
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(ServiceError, match="set TMPDIR to a shorter one"):
        PrivateFolder()
    assert list(long.iterdir()) == []


def test_elsewhere_than_on_linux_a_service_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ServiceError, match="--in-process"):
        asyncio.run(start(tmp_path, "127.0.0.1:0", "cpu"))


def test_a_start_that_fails_leaves_no_process(tmp_path):
    with pytest.raises(DeviceError, match="cuda:99"):
        asyncio.run(start(tmp_path, "127.0.0.1:0", "cuda:99"))
    assert workers_of() == []
