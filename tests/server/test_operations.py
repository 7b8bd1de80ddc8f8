"""Operations: started, followed, read, cancelled, kept; over workers that do as they are told."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import grpc
import pytest
from grpc import StatusCode
from server.running import event_loop
from server.storing import Names

from onnxplain.graphops.errors import MissingModel, NoWorker, QueueFull, ServiceError, WorkerDied
from onnxplain.server.caller import CALLER
from onnxplain.server.edge import operation_queue
from onnxplain.server.edge.operations import Operations
from onnxplain.server.errors import ErrorInterceptor
from onnxplain.server.settings import Settings
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

PROGRESS = pb.ViewResponse(progress=pb.Progress(done=1, total=2))
NOTE = pb.ViewResponse(note="a note")
LARGE = pb.ViewResponse(png=b"x" * 100_000)
MEASURED = pb.EvaluateResponse(method=pb.MethodEvaluation(method="gradient", deletion=[0.25]))
SUCCEEDED, FAILED = pb.OPERATION_STATE_SUCCEEDED, pb.OPERATION_STATE_FAILED
QUEUED, RUNNING = pb.OPERATION_STATE_QUEUED, pb.OPERATION_STATE_RUNNING
CANCELLED = pb.OPERATION_STATE_CANCELLED


class Workers:
    """Answers with what it was given by model, one item for each call; None waits for ever.

    An item is a message, an error, an event to wait for, or a list of these.
    """

    def __init__(self, **answers):
        self.answers = {
            f"models/{model}/versions/1": list(items) for model, items in answers.items()
        }
        self.calls = []
        self.running = []
        self.most = 0

    async def stream(self, method, request, model, *, timeout=None):
        self.calls.append((method, pb.ViewRequest.FromString(request).model, CALLER.get().name))
        self.running.append(model)
        self.most = max(self.most, len(self.running))
        try:
            answers = self.answers[model]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            for message in answer if isinstance(answer, list) else [answer]:
                if message is None:
                    await asyncio.Event().wait()
                if isinstance(message, threading.Event):
                    while not message.is_set():
                        await asyncio.sleep(0.002)
                elif isinstance(message, Exception):
                    raise message
                else:
                    yield message.SerializeToString()
        finally:
            self.running.remove(model)


async def resolve(name):
    if name == "models/nothing":
        raise MissingModel("no model 'nothing' (there are none)")
    return f"{name}/versions/1"


@contextmanager
def service(workers, settings=None, **changes):
    """Run a service of operations only, and give a stub."""
    settings = replace(settings or Settings(), **changes)

    async def start():
        operations = Operations(workers, resolve, settings)
        server = grpc.aio.server(interceptors=[ErrorInterceptor(), Names()])
        name = "onnxplain.v1.ExplainService"
        handler = grpc.method_handlers_generic_handler(name, operations.handlers())
        server.add_generic_rpc_handlers([handler])
        port = server.add_insecure_port("127.0.0.1:0")
        await operations.start()
        await server.start()
        return operations, server, port

    async def stop():
        await server.stop(0)
        await operations.stop()

    with event_loop() as loop:
        operations, server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        try:
            address = f"127.0.0.1:{port}"
            with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
                yield explain_pb2_grpc.ExplainServiceStub(channel)
        finally:
            asyncio.run_coroutine_threadsafe(stop(), loop).result(10)


def start(stub, model="net", call="view", **choices):
    if call == "view":
        work = {"view": pb.ViewRequest(model=f"models/{model}")}
    else:
        work = {"evaluate": pb.EvaluateRequest(model=f"models/{model}")}
    return stub.StartOperation(pb.StartOperationRequest(**work), **choices).operation


def wait(stub, operation, seconds=10.0):
    request = pb.WaitOperationRequest(name=operation.name, timeout_seconds=seconds)
    return stub.WaitOperation(request).operation


def get(stub, operation, **choices):
    return stub.GetOperation(pb.GetOperationRequest(name=operation.name), **choices).operation


def read(stub, operation, **choices):
    return list(stub.ReadOperation(pb.ReadOperationRequest(name=operation.name), **choices))


def cancel(stub, operation):
    return stub.CancelOperation(pb.CancelOperationRequest(name=operation.name)).operation


def names(stub, **choices):
    return [
        one.name for one in stub.ListOperations(pb.ListOperationsRequest(), **choices).operations
    ]


def states(stub):
    return [one.state for one in stub.ListOperations(pb.ListOperationsRequest()).operations]


def until(condition):
    """Wait until a condition holds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@contextmanager
def fails(code, kind, text=None):
    with pytest.raises(grpc.RpcError, match=text) as caught:
        yield
    assert caught.value.code() is code
    assert dict(caught.value.trailing_metadata())["onnxplain-error"] == kind


def test_results_are_those_of_the_call_without_its_progress():
    workers = Workers(net=[[PROGRESS, NOTE, PROGRESS, LARGE, NOTE]])
    with service(workers) as stub:
        operation = start(stub)
        assert (operation.call, operation.model) == ("View", "models/net")
        assert operation.state in (QUEUED, RUNNING)
        ended = wait(stub, operation)
        assert ended.state == SUCCEEDED
        assert (ended.progress.done, ended.progress.total) == (1, 2)
        assert ended.end_time.ToNanoseconds() >= ended.create_time.ToNanoseconds() > 0
        assert [message.view for message in read(stub, operation)] == [NOTE, LARGE, NOTE]
        assert read(stub, operation) == read(stub, operation)
        assert get(stub, operation) == ended == wait(stub, operation)
    assert workers.calls == [
        ("/onnxplain.v1.ExplainService/View", "models/net/versions/1", "anyone")
    ]


def test_an_evaluation_is_one_too():
    with service(Workers(net=[[MEASURED]])) as stub:
        operation = start(stub, call="evaluate")
        assert wait(stub, operation).call == "Evaluate"
        assert [message.evaluate for message in read(stub, operation)] == [MEASURED]


def test_progress_is_seen_while_it_runs():
    with service(Workers(net=[[PROGRESS, None]])) as stub:
        operation = start(stub)
        until(lambda: get(stub, operation).progress.total == 2)
        assert get(stub, operation).state == RUNNING


def test_a_failure_is_kept_with_its_code_text_and_kind():
    died = WorkerDied("the worker died")
    with service(Workers(net=[[NOTE, died]])) as stub:
        operation = start(stub)
        ended = wait(stub, operation)
        assert (ended.state, ended.code) == (FAILED, StatusCode.ABORTED.value[0])
        assert (ended.error, ended.error_kind) == ("the worker died", "WorkerDied")
        with fails(StatusCode.FAILED_PRECONDITION, "UnfinishedOperation", "the worker died"):
            read(stub, operation)


def test_a_workers_own_failure_is_kept():
    metadata = grpc.aio.Metadata(("onnxplain-error", "UnknownLayer"))
    own = grpc.aio.AioRpcError(StatusCode.NOT_FOUND, metadata, metadata, "no layer 'x'")
    with service(Workers(net=[own])) as stub:
        ended = wait(stub, start(stub))
        assert ended.code == StatusCode.NOT_FOUND.value[0]
        assert (ended.error, ended.error_kind) == ("no layer 'x'", "UnknownLayer")


@pytest.mark.parametrize("busy", [NoWorker("none"), QueueFull("full")])
def test_what_no_worker_took_waits_and_is_begun_again(monkeypatch, busy):
    monkeypatch.setattr(operation_queue, "RETRY_SECONDS", 0.01)
    with service(Workers(net=[busy, busy, busy, busy, NOTE])) as stub:
        operation = start(stub)
        assert wait(stub, operation).state == SUCCEEDED
        assert len(read(stub, operation)) == 1


def test_reading_before_the_end_says_to_wait():
    with service(Workers(net=[None])) as stub:
        operation = start(stub)
        with fails(StatusCode.FAILED_PRECONDITION, "UnfinishedOperation", "wait until"):
            read(stub, operation)


def test_waiting_ends_with_its_time_and_before_the_deadline():
    with service(Workers(net=[None])) as stub:
        operation = start(stub)
        assert wait(stub, operation, 0.05).state in (QUEUED, RUNNING)
        request = pb.WaitOperationRequest(name=operation.name)
        assert stub.WaitOperation(request, timeout=2).operation.state == RUNNING
        for wrong in (-1, float("nan")):
            with fails(StatusCode.INVALID_ARGUMENT, "InputError", "timeout_seconds: "):
                wait(stub, operation, wrong)


def test_a_cancelled_operation_gives_its_place_to_the_next():
    workers = Workers(long=[None], net=[NOTE])
    with service(workers, operations=1) as stub:
        long, queued, last = start(stub, "long"), start(stub), start(stub)
        until(lambda: get(stub, long).state == RUNNING)
        assert cancel(stub, queued).state == CANCELLED
        assert cancel(stub, long).state == CANCELLED
        assert wait(stub, last).state == SUCCEEDED
        until(lambda: not workers.running)
        assert get(stub, long).state == get(stub, queued).state == CANCELLED
        assert cancel(stub, last).state == SUCCEEDED
        with fails(StatusCode.FAILED_PRECONDITION, "UnfinishedOperation", "is cancelled"):
            read(stub, long)
    assert len(workers.calls) == 2


def test_an_operation_is_its_callers_only():
    with service(Workers(net=[NOTE])) as stub:
        mine = start(stub, metadata=[("name", "me")])
        assert names(stub, metadata=[("name", "me")]) == [mine.name]
        assert names(stub, metadata=[("name", "you")]) == []
        for call in (get, read):
            with fails(StatusCode.NOT_FOUND, "MissingOperation", "sticky routing"):
                call(stub, mine, metadata=[("name", "you")])
        assert len(mine.name) > len("operations/") + 30


def test_a_list_comes_in_pages_the_newest_first():
    with service(Workers(net=[NOTE])) as stub:
        started = [start(stub).name for _ in range(5)]
        newest = started[::-1]
        assert names(stub) == newest
        page = stub.ListOperations(pb.ListOperationsRequest(page_size=2))
        assert [one.name for one in page.operations] == newest[:2]
        for one in page.operations:  # also where the page before is gone
            wait(stub, one)
            stub.DeleteOperation(pb.DeleteOperationRequest(name=one.name))
        start(stub)
        token = page.next_page_token
        page = stub.ListOperations(pb.ListOperationsRequest(page_size=3, page_token=token))
        assert [one.name for one in page.operations] == newest[2:]
        assert page.next_page_token == ""
        for wrong in ({"page_token": "yesterday"}, {"page_size": -1}):
            with fails(StatusCode.INVALID_ARGUMENT, "InputError", f"{next(iter(wrong))}: "):
                stub.ListOperations(pb.ListOperationsRequest(**wrong))


def test_what_has_ended_can_be_deleted():
    with service(Workers(net=[NOTE], long=[None])) as stub:
        ended, long = start(stub), start(stub, "long")
        wait(stub, ended)
        stub.DeleteOperation(pb.DeleteOperationRequest(name=ended.name))
        with fails(StatusCode.NOT_FOUND, "MissingOperation"):
            read(stub, ended)
        with fails(StatusCode.FAILED_PRECONDITION, "UnfinishedOperation", "cancel it first"):
            stub.DeleteOperation(pb.DeleteOperationRequest(name=long.name))


def test_a_wrong_start_fails_at_once():
    with service(Workers()) as stub:
        with fails(StatusCode.INVALID_ARGUMENT, "InputError", "view, evaluate: none is set"):
            stub.StartOperation(pb.StartOperationRequest())
        with fails(StatusCode.NOT_FOUND, "MissingModel"):
            start(stub, "nothing")
        assert names(stub) == []


def test_as_many_run_at_once_as_the_settings_say_and_callers_take_turns():
    gate = threading.Event()
    workers = Workers(net=[[gate, NOTE]])
    with service(workers, operations=2) as stub:
        first = [start(stub, metadata=[("name", "a")]) for _ in range(5)]
        other = start(stub, metadata=[("name", "b")])
        gate.set()
        for one in first:
            request = pb.WaitOperationRequest(name=one.name)
            stub.WaitOperation(request, metadata=[("name", "a")])
        assert get(stub, other, metadata=[("name", "b")]).state == SUCCEEDED
    assert workers.most == 2
    assert [caller for _, _, caller in workers.calls] == ["a", "a", "b", "a", "a", "a"]


def test_what_ended_first_makes_room(tmp_path):
    with service(Workers(net=[NOTE]), state=tmp_path, keep_operations=2) as stub:
        started = [wait(stub, start(stub)).name for _ in range(4)]
        others = start(stub, metadata=[("name", "someone else")])
        assert names(stub) == started[:1:-1]
        assert names(stub, metadata=[("name", "someone else")]) == [others.name]
    assert len(list((tmp_path / "operations").glob("*.json"))) == 3


def test_results_are_bounded(tmp_path):
    answers = [[NOTE, *[LARGE] * 20], [LARGE] * 4, [LARGE] * 4, [LARGE] * 4]
    with service(Workers(net=answers), state=tmp_path, keep_bytes=1_000_000) as stub:
        ended = wait(stub, start(stub))
        assert (ended.state, ended.error_kind) == (FAILED, "AnswerTooLarge")
        assert "1000000 bytes" in ended.error
        assert not list((tmp_path / "operations").glob("*.results"))
        first, second, third = (wait(stub, start(stub)).name for _ in range(3))
        assert names(stub) == [third, second]
        files = (tmp_path / "operations").glob("*.results")
        assert sum(path.stat().st_size for path in files) <= 1_000_000


def test_a_request_that_is_too_large_to_keep_is_refused():
    with service(Workers(net=[NOTE]), keep_bytes=10) as stub:
        with fails(StatusCode.INVALID_ARGUMENT, "InputError", "exceeds 10 bytes"):
            start(stub)
        assert names(stub) == []


def test_more_unfinished_work_than_is_kept_is_refused():
    with service(Workers(net=[None]), keep_operations=2) as stub:
        start(stub), start(stub)
        with fails(StatusCode.RESOURCE_EXHAUSTED, "QueueFull", "2 operations of yours"):
            start(stub)
        start(stub, metadata=[("name", "someone else")])


def test_starts_at_once_do_not_exceed_what_is_kept(tmp_path):
    request = pb.StartOperationRequest(view=pb.ViewRequest(model="models/net"))
    with service(Workers(net=[None]), state=tmp_path, keep_operations=2) as stub:
        starts = [stub.StartOperation.future(request) for _ in range(8)]
        refused = [one.exception() for one in starts if one.exception() is not None]
        assert {error.code() for error in refused} == {StatusCode.RESOURCE_EXHAUSTED}
        assert len(refused) == 6
        assert len(names(stub)) == len(list((tmp_path / "operations").glob("*.request"))) == 2


def test_results_expire(tmp_path):
    with service(Workers(net=[NOTE], long=[None]), state=tmp_path, keep_seconds=0.1) as stub:
        ended, long = start(stub), start(stub, "long")
        until(lambda: names(stub) == [long.name])
        with fails(StatusCode.NOT_FOUND, "MissingOperation"):
            get(stub, ended)
    assert len(list((tmp_path / "operations").glob("*.json"))) == 1


def test_a_restart_keeps_results_and_runs_the_rest_again(tmp_path):
    settings = Settings(state=tmp_path, operations=1)
    with service(Workers(net=[[NOTE, LARGE]], long=[[NOTE, None]]), settings) as stub:
        done = wait(stub, start(stub))
        results = read(stub, done)
        long, queued = start(stub, "long"), start(stub)
        until(lambda: get(stub, long).state == RUNNING)
    workers = Workers(net=[NOTE], long=[LARGE])
    with service(workers, settings) as stub:
        assert names(stub) == [queued.name, long.name, done.name]
        assert get(stub, done) == done
        assert read(stub, done) == results
        assert wait(stub, long).state == wait(stub, queued).state == SUCCEEDED
        assert [message.view for message in read(stub, long)] == [LARGE]
    assert [model for _, model, _ in workers.calls] == [
        "models/long/versions/1",
        "models/net/versions/1",
    ]


def test_a_restart_in_time_is_not_counted_against_what_runs(tmp_path):
    for _ in range(5):
        with service(Workers(net=[None]), state=tmp_path) as stub:
            if not names(stub):
                start(stub)
            until(lambda stub=stub: states(stub) == [RUNNING])


def died(folder, starts):
    """Leave the files of an operation during which the service died, and return its name."""
    with service(Workers(net=[None]), state=folder) as stub:
        name = start(stub).name
        until(lambda: states(stub) == [RUNNING])
    (path,) = (folder / "operations").glob("*.json")
    fields = json.loads(path.read_text())
    fields["operation"]["state"], fields["starts"] = "OPERATION_STATE_RUNNING", starts
    path.write_text(json.dumps(fields))
    path.with_suffix(".results").write_bytes(b"\xff\x07half a message")
    return pb.Operation(name=name)


def test_what_ran_when_the_service_died_is_run_again(tmp_path):
    operation = died(tmp_path, 2)
    with service(Workers(net=[NOTE]), state=tmp_path) as stub:
        assert wait(stub, operation).state == SUCCEEDED
        assert [message.view for message in read(stub, operation)] == [NOTE]


def test_what_ran_too_often_when_the_service_died_has_failed(tmp_path):
    operation = died(tmp_path, 3)
    workers = Workers(net=[NOTE])
    with service(workers, state=tmp_path) as stub:
        ended = get(stub, operation)
        assert (ended.state, ended.code) == (FAILED, StatusCode.ABORTED.value[0])
        assert "died 3 times" in ended.error
    assert workers.calls == []
    assert [path.suffix for path in (tmp_path / "operations").glob("*.*")] == [".json"]


def test_damaged_files_are_left_out_and_leftovers_removed(tmp_path, caplog):
    folder = tmp_path / "operations"
    folder.mkdir()
    (folder / "0123.json").write_text("{half a rec")
    for leftover in ("4567.request", "4567.results", "89ab.new"):
        (folder / leftover).write_bytes(b"?")
    with service(Workers(net=[NOTE]), state=tmp_path) as stub:
        assert names(stub) == []
        assert wait(stub, start(stub)).state == SUCCEEDED
    assert "0123.json" in caplog.text
    assert not [*folder.glob("4567*"), *folder.glob("89ab*")]


def test_two_services_do_not_share_a_folder(tmp_path):
    settings = Settings(state=tmp_path)
    with service(Workers(), settings), pytest.raises(ServiceError, match="give each its own"):
        Operations(Workers(), resolve, settings)
    with service(Workers(), settings):
        pass


def test_results_of_many_messages_are_read_while_others_are_removed(tmp_path):
    with service(Workers(net=[[LARGE] * 50]), state=tmp_path) as stub:
        operation = wait(stub, start(stub))
        results = stub.ReadOperation(pb.ReadOperationRequest(name=operation.name))
        first = next(results)
        stub.DeleteOperation(pb.DeleteOperationRequest(name=operation.name))
        assert [message.view for message in [first, *results]] == [LARGE] * 50
