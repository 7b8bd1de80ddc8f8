"""How errors reach a client: as the status of the table, or as an id that the log explains."""

import gc
import logging
import re
import threading
import weakref

import grpc
import numpy as np
import pytest
from grpc import StatusCode
from server.running import pixels

from onnxplain.engine import Engine
from onnxplain.graphops import errors
from onnxplain.server.errors import STATUS
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

REQUEST = pb.ExplainRequest(
    model="models/classifier", images=[pb.Image(pixels=tensors.from_array(pixels()))]
)


def tree(error):
    return {error}.union(*(tree(child) for child in error.__subclasses__()))


def failing(monkeypatch, error):
    def fail(*arguments, **choices):
        raise error

    monkeypatch.setattr(Engine, "explain_units", fail)


def call(stub, kind):
    if kind == "unary":
        return stub.Explain(REQUEST, 10)
    return list(stub.ExplainUnits(REQUEST, 10))


def test_the_table_has_every_error():
    assert tree(errors.OnnxplainError) == set(STATUS)


@pytest.mark.parametrize("error", STATUS, ids=lambda error: error.__name__)
@pytest.mark.parametrize("kind", ["unary", "stream"])
def test_an_error_has_its_status_text_and_name(stub_here, monkeypatch, error, kind):
    failing(monkeypatch, error("what, where, and what to do: größer"))
    with pytest.raises(grpc.RpcError) as caught:
        call(stub_here, kind)
    assert caught.value.code() is STATUS[error]
    assert caught.value.details() == "what, where, and what to do: größer"
    assert dict(caught.value.trailing_metadata())["onnxplain-error"] == error.__name__


def test_a_new_error_has_the_status_of_its_parent(stub_here, monkeypatch):
    class NewError(errors.ChannelError):
        """Not in the table."""

    failing(monkeypatch, NewError("new"))
    with pytest.raises(grpc.RpcError) as caught:
        call(stub_here, "unary")
    del NewError
    assert caught.value.code() is StatusCode.OUT_OF_RANGE


@pytest.mark.parametrize("kind", ["unary", "stream"])
def test_a_defect_is_told_to_the_log_only(stub_here, monkeypatch, caplog, kind):
    failing(monkeypatch, ZeroDivisionError("the secret of /srv/models"))
    with pytest.raises(grpc.RpcError) as caught, caplog.at_level(logging.ERROR):
        call(stub_here, kind)
    assert caught.value.code() is StatusCode.INTERNAL
    told = re.fullmatch(
        "internal error, id ([0-9a-f]{8}): look it up in the service's log", caught.value.details()
    )
    assert dict(caught.value.trailing_metadata())["onnxplain-error"] == "InternalError"
    (record,) = caplog.records
    assert told[1] in record.getMessage()
    assert "ZeroDivisionError: the secret of /srv/models" in caplog.text


@pytest.mark.parametrize("kind", ["unary", "stream"])
def test_what_a_call_held_is_let_go_when_it_fails(stub_here, monkeypatch, kind):
    """Else arrays of failed calls would pile up until cycles are collected."""
    gone = threading.Event()

    def fail(*arguments, **choices):
        held = np.zeros(1).view(Held)
        weakref.finalize(held, gone.set)
        raise errors.InputError("what, where, and what to do")

    monkeypatch.setattr(Engine, "explain_units", fail)
    gc.disable()
    try:
        with pytest.raises(grpc.RpcError, match="what to do"):
            call(stub_here, kind)
        assert gone.wait(10)
    finally:
        gc.enable()


class Held(np.ndarray):
    """An array that tells when it is gone."""


def test_a_text_that_is_not_unicode_arrives(stub_here, monkeypatch):
    failing(monkeypatch, errors.CorruptModel("the file \udce4.onnx"))
    with pytest.raises(grpc.RpcError, match=r"the file \?\.onnx") as caught:
        call(stub_here, "unary")
    assert caught.value.code() is StatusCode.FAILED_PRECONDITION


def test_a_long_text_is_cut_and_still_arrives(stub_here, monkeypatch):
    failing(monkeypatch, errors.CorruptModel("ä" * 100_000))
    with pytest.raises(grpc.RpcError) as caught:
        call(stub_here, "unary")
    assert caught.value.code() is StatusCode.FAILED_PRECONDITION
    assert set(caught.value.details()) == {"ä"}
