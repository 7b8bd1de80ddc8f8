"""Workers that die, hang or run out of memory: what their calls hear, and whom it is blamed on."""

import os
import signal
import threading
import time

import grpc
import onnx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from server.edges import check, eventually, failure, service, workers_of, write_copies
from server.running import ANY_SIZE, CLASSIFIER, model, pixels

from onnxplain.server.edge import pool
from onnxplain.server.edge.blame import Blame
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

DIED = (StatusCode.ABORTED, "WorkerDied")
NO_WORKER = (StatusCode.UNAVAILABLE, "NoWorker")
QUARANTINED = (StatusCode.FAILED_PRECONDITION, "QuarantinedModel")


def test_a_model_that_goes_on_killing_is_quarantined_until_its_file_changes(tmp_path, monkeypatch):
    write_copies(tmp_path, ["crash", "good"])
    with service(tmp_path, monkeypatch) as stub:
        assert [failure(check, stub, "crash") for _ in range(4)] == [DIED] * 4
        assert failure(check, stub, "crash") == QUARANTINED
        assert eventually(lambda: check(stub, "good")).ok
        problems = problems_of(stub)
        assert "in quarantine: 3 worker processes" in problems["models/crash/versions/1"]
        assert problems["models/good/versions/1"] == ""
        onnx.save(model(CLASSIFIER, seed=1), tmp_path / "crash.onnx")
        eventually(lambda: failure(check, stub, "crash") == DIED)


def problems_of(stub):
    return {one.name: one.problem for one in stub.ListModels(pb.ListModelsRequest()).models}


def test_a_model_that_crashes_gets_no_other_quarantined(tmp_path, monkeypatch):
    write_copies(tmp_path, ["crash", "slow"])
    with service(tmp_path, monkeypatch) as stub:
        ends = {"crash": [], "slow": []}
        for _ in range(6):
            slow = threading.Thread(target=lambda: ends["slow"].append(end_of(stub, "slow")))
            slow.start()
            time.sleep(0.3)
            ends["crash"].append(end_of(stub, "crash"))
            slow.join()
            eventually(lambda: stub.ListMethods(pb.ListMethodsRequest()))
        assert ends["crash"] == [DIED] * 4 + [QUARANTINED] * 2
        assert ends["slow"] == [DIED] + [(StatusCode.OK, None)] * 5


def end_of(stub, name):
    try:
        check(stub, name)
    except grpc.RpcError as error:
        return error.code(), dict(error.trailing_metadata()).get("onnxplain-error")
    return StatusCode.OK, None


def test_a_worker_killed_in_mid_stream_fails_that_call_alone(tmp_path):
    onnx.save(model(ANY_SIZE), tmp_path / "any.onnx")
    image = pb.Image(pixels=tensors.from_array(pixels(60, 60)))
    request = pb.ViewRequest(
        model="models/any", images=[image], occlusion=pb.OcclusionView(window=1, stride=1)
    )
    with service(tmp_path) as stub:
        call = stub.View(request)
        assert next(call).WhichOneof("part") == "progress"
        (worker,) = workers_of()
        os.kill(worker, signal.SIGKILL)
        assert failure(list, call) == DIED
        with pytest.raises(grpc.RpcError) as caught:
            check(stub, "any")
        assert (caught.value.code(), kind_of(caught.value)) == NO_WORKER
        assert RetryInfo.DESCRIPTOR.full_name in details(caught.value)
        assert eventually(lambda: check(stub, "any")).ok
        (other,) = workers_of()
        assert other != worker


def kind_of(error):
    return dict(error.trailing_metadata())["onnxplain-error"]


def details(error):
    status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    return {one.type_url.rpartition("/")[2] for one in status.details}


@pytest.fixture
def marks(tmp_path_factory):
    """Return a folder in which odd workers mark the calls that have begun."""
    return tmp_path_factory.mktemp("marks")


def give_up(stub, name, marks):
    """Make a call, and give it up once it has begun."""
    request = pb.CheckRequest(model=f"models/{name}")
    calls = [stub.Check.future(request)]

    def begun():
        if calls[-1].done():  # it met the end of the worker before
            calls.append(stub.Check.future(request))
        return (marks / name).exists()

    eventually(begun)
    calls[-1].cancel()
    (marks / name).unlink()


def test_a_worker_that_holds_pythons_lock_is_killed_after_the_grace(tmp_path, monkeypatch, marks):
    write_copies(tmp_path, ["hold", "good"])
    monkeypatch.setattr(pool, "HANG_SECONDS", 1000.0)
    with service(tmp_path, monkeypatch, str(marks), grace_seconds=0.5) as stub:
        (worker,) = workers_of()
        give_up(stub, "hold", marks)
        assert eventually(lambda: worker not in workers_of())
        assert eventually(lambda: check(stub, "good")).ok


def test_work_that_never_stops_is_a_death_even_where_its_clients_gave_it_up(
    tmp_path, monkeypatch, marks
):
    write_copies(tmp_path, ["stuck", "good"])
    with service(tmp_path, monkeypatch, str(marks), grace_seconds=0.3) as stub:
        (worker,) = workers_of()
        for _ in range(4):
            give_up(stub, "stuck", marks)
            eventually(lambda: worker not in workers_of())
            assert eventually(lambda: check(stub, "good")).ok
            eventually(lambda: len(workers_of()) == 1)  # the one that was alone has ended
        eventually(lambda: "in quarantine" in problems_of(stub)["models/stuck/versions/1"])


def test_a_model_is_not_to_blame_for_another_that_a_view_opens_too(tmp_path, monkeypatch):
    write_copies(tmp_path, ["crash", "good"])
    view = pb.ViewRequest(
        model="models/good", training=pb.TrainingView(earlier=["models/crash"], layer="y")
    )
    with service(tmp_path, monkeypatch) as stub:
        for _ in range(5):
            assert failure(list, stub.View(view)) == DIED
        assert eventually(lambda: check(stub, "good")).ok
        for _ in range(3):
            assert failure(check, stub, "crash") == DIED
        assert failure(list, stub.View(view)) == QUARANTINED
        assert check(stub, "good").ok


def test_a_worker_that_does_not_answer_is_replaced(tmp_path, monkeypatch):
    write_copies(tmp_path, ["hold", "good"])
    monkeypatch.setattr(pool, "HANG_SECONDS", 4.0)
    with service(tmp_path, monkeypatch) as stub:
        assert failure(check, stub, "hold", timeout=60) == DIED
        assert eventually(lambda: check(stub, "good")).ok


def test_a_cancelled_stream_frees_its_slot(tmp_path):
    onnx.save(model(ANY_SIZE), tmp_path / "any.onnx")
    image = pb.Image(pixels=tensors.from_array(pixels(100, 100)))
    view = pb.ViewRequest(
        model="models/any", images=[image], occlusion=pb.OcclusionView(window=1, stride=1)
    )
    with service(tmp_path, concurrency=1) as stub:
        before = workers_of()
        for _ in range(3):
            call = stub.View(view)
            assert next(call).WhichOneof("part") == "progress"
            call.cancel()
        assert check(stub, "any").ok
        assert workers_of() == before


def test_a_worker_without_a_limit_of_its_own_is_watched(tmp_path, monkeypatch):
    write_copies(tmp_path, ["greedy", "good"])
    with service(tmp_path, monkeypatch, "unlimited", memory_bytes=700 * 2**20) as stub:
        (worker,) = workers_of()
        with pytest.raises(grpc.RpcError) as caught:
            check(stub, "greedy", timeout=60)
        assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED
        assert kind_of(caught.value) == "OutOfMemory"
        assert RetryInfo.DESCRIPTOR.full_name not in details(caught.value)
        assert eventually(lambda: check(stub, "good")).ok
        assert worker not in workers_of()


def test_a_worker_that_lacks_memory_to_go_on_is_replaced_without_blame(tmp_path, monkeypatch):
    names = ["starved", "starving", "lost", "unloaded", "threadless"]
    blamed = []
    monkeypatch.setattr(Blame, "died", lambda *died, **_: blamed.append(died))
    write_copies(tmp_path, [*names, "good"])
    with service(tmp_path, monkeypatch) as stub:
        for name in names:
            workers = workers_of()
            assert failure(check, stub, name) == (StatusCode.RESOURCE_EXHAUSTED, "OutOfMemory")
            assert eventually(lambda: check(stub, "good")).ok
            assert (workers_of() == workers) == (name == "threadless")
    assert blamed == []


def test_out_of_memory_is_told_and_the_worker_goes_on(tmp_path, monkeypatch):
    write_copies(tmp_path, ["hungry"])
    onnx.save(model(ANY_SIZE), tmp_path / "any.onnx")
    large = pb.Image(pixels=tensors.from_array(pixels(3000, 3000)))
    with service(tmp_path, monkeypatch, memory_bytes=600 * 2**20) as stub:
        before = workers_of()
        for call, request in (
            (stub.Check, pb.CheckRequest(model="models/hungry")),
            (stub.Explain, pb.ExplainRequest(model="models/any", images=[large], layer="y")),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call(request, timeout=60)
            assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED
            assert kind_of(caught.value) == "OutOfMemory"
            assert RetryInfo.DESCRIPTOR.full_name not in details(caught.value)
        small = pb.Image(pixels=tensors.from_array(pixels(16, 16)))
        assert stub.Explain(pb.ExplainRequest(model="models/any", images=[small], layer="y"))
        assert workers_of() == before
