"""What passes through the edge: the request as the worker reads it, metadata, deadlines, sizes."""

import concurrent.futures
import time

import grpc
import pytest
from grpc import StatusCode
from server.edges import channel_to, check, eventually, failure, write_copies

from onnxplain.graphops.errors import QueueFull
from onnxplain.server.edge.admission import Admission, Shares
from onnxplain.server.edge.request_models import named_model, with_model
from onnxplain.server.edge.routing import choose
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

CHECK = "/onnxplain.v1.ExplainService/Check"


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    folder = write_copies(tmp_path_factory.mktemp("models"), ["good", "slow", "told"])
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        channel_to(folder, monkeypatch, concurrency=1, queue=5) as channel,
    ):
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return explain_pb2_grpc.ExplainServiceStub(channel)


@pytest.fixture(scope="module")
def raw(channel):
    """Return the call of Check on bytes."""
    return channel.unary_unary(CHECK)


def test_metadata_pass_and_the_version_is_named(stub):
    answer, call = stub.Check.with_call(pb.CheckRequest(model="models/told"), timeout=30)
    assert answer.warnings == ["models/told/versions/1", "127.0.0.1", "True", "True"]
    assert ("early", "1") in call.initial_metadata()
    assert {("late", "2"), ("late-bin", b"\0\1")} <= set(call.trailing_metadata())
    answer = stub.Check(pb.CheckRequest(model="models/told"))
    assert answer.warnings[-1] == "None"  # no deadline


def test_a_field_that_comes_twice_counts_for_the_edge_as_for_the_worker(raw):
    """The last one wins."""
    twice = b"".join(
        pb.CheckRequest(model=f"models/{name}").SerializeToString() for name in ("slow", "told")
    )
    assert pb.CheckRequest.FromString(twice).model == "models/told"
    assert named_model(CHECK, twice) == "models/told"
    sent = with_model(CHECK, twice, "models/told/versions/1")
    assert pb.CheckRequest.FromString(sent).model == "models/told/versions/1"
    answer = pb.CheckResponse.FromString(raw(twice, timeout=30))
    assert answer.warnings[0] == "models/told/versions/1"
    reversed_ = pb.CheckRequest(model="models/nowhere").SerializeToString()
    assert failure(raw, twice + reversed_) == (StatusCode.NOT_FOUND, "MissingModel")


def test_bytes_that_are_no_request(raw):
    assert failure(raw, b"\x0a\xff") == (StatusCode.INVALID_ARGUMENT, "InputError")


def test_what_the_edge_asks_of_workers_is_not_for_clients(channel):
    call = channel.unary_unary("/onnxplain.v1.WorkerService/Warm")
    assert failure(call, b"") == (StatusCode.UNIMPLEMENTED, "UnknownCall")


def test_the_deadline_passes(stub):
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        check(stub, "slow", timeout=0.3)
    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 0.9


def test_no_more_calls_wait_than_may(stub):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda _: end_of(stub, "slow"), range(8)))
        other = pool.submit(check, stub, "good")
        assert other.result().ok
    full = (StatusCode.RESOURCE_EXHAUSTED, "QueueFull")
    assert sorted(map(str, ends)) == sorted(map(str, ["well"] * 3 + [full] * 5))
    assert eventually(lambda: check(stub, "slow")).ok


def end_of(stub, name):
    try:
        return "well" if check(stub, name).ok else "badly"
    except grpc.RpcError as error:
        return error.code(), dict(error.trailing_metadata()).get("onnxplain-error")


def test_a_cancelled_call_frees_its_place(stub):
    calls = [stub.Check.future(pb.CheckRequest(model="models/slow")) for _ in range(3)]
    time.sleep(0.2)
    for call in calls:
        call.cancel()
    assert eventually(lambda: check(stub, "slow")).ok


def test_a_model_stays_where_it_is_while_workers_come_and_go():
    models, workers = [f"models/{i}" for i in range(300)], list("abcd")
    before = {model: choose(model, workers, str) for model in models}
    assert {list(before.values()).count(worker) > 40 for worker in workers} == {True}
    after = {model: choose(model, "abd", str) for model in models}
    assert all(after[model] == before[model] for model in models if before[model] != "c")
    assert {after[model] for model in models if before[model] == "c"} == set("abd")


def test_admission_counts_each_model_by_itself():
    admission = Admission(1, 3)
    with admission.admit("a"), admission.admit("a"), admission.admit("b"):
        assert admission.admitted == {"a": 2, "b": 1}
        with pytest.raises(QueueFull, match="2 calls run or wait for 'a'"), admission.admit("a"):
            pass
    assert admission.admitted == {}


def test_clients_that_call_all_they_may_leave_places_to_others():
    shares, admitted = Shares(36), []
    for client in ("alice", "bob", "carol", "dave"):
        while shares.fits(client):
            shares.add(client, 1)
        admitted.append(shares.held[client])
    assert admitted == [18, 9, 5, 2]
    shares.add("alice", -1)  # one of hers ended: the place is not for those who hold more
    assert not shares.fits("alice")
    assert shares.fits("erin")


def test_one_place_is_for_whoever_comes_first():
    shares = Shares(1)
    assert shares.fits("alice")
    shares.add("alice", 1)
    assert not shares.fits("bob")
