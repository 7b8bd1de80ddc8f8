"""Failed calls: one class per status, and what google.rpc details say."""

import pickle

import pytest
from client.scripted import CALLS, Failure, Scripted, serving
from google.rpc.error_details_pb2 import BadRequest, ResourceInfo
from grpc import StatusCode

from onnxplain.client import ClientError, errors


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", [c for c in StatusCode if c is not StatusCode.OK])
def test_a_class_for_each_status(call, code):
    with (
        serving(Scripted([Failure(code, "SomeKind")])) as address,
        pytest.raises(ClientError, match="^as the test said$") as caught,
    ):
        call(address, "methods", retries=0)
    assert (caught.value.code, caught.value.kind) == (code, "SomeKind")
    name = code.name.title().replace("_", "") + "Error"
    plain = code in (StatusCode.CANCELLED, StatusCode.UNKNOWN)
    assert type(caught.value).__name__ == ("ClientError" if plain else name)


@pytest.mark.parametrize("call", CALLS)
def test_details(call):
    wrong = BadRequest(
        field_violations=[BadRequest.FieldViolation(field="images[0]", description="no picture")]
    )
    about = ResourceInfo(resource_type="Model", resource_name="models/net/versions/1")
    failure = Failure(StatusCode.INVALID_ARGUMENT, "PictureError", wrong, about)
    with serving(Scripted([failure])) as address, pytest.raises(ClientError) as caught:
        call(address, "methods")
    assert caught.value.violations == {"images[0]": "no picture"}
    assert caught.value.resource == "models/net/versions/1"
    assert caught.value.retry_delay is None


def test_an_error_crosses_processes():
    error = errors.OutOfRangeError("no channel 9", "ChannelError")
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), copied.kind, copied.code) == (
        errors.OutOfRangeError, "no channel 9", "ChannelError", StatusCode.OUT_OF_RANGE,
    )  # fmt: skip
