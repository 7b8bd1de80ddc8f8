"""Requests whose values are wrong: each gets its status, and the service answers the next one."""

import grpc
import numpy as np
import pytest
from grpc import StatusCode
from server.running import pixels

from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

INVALID, RANGE = StatusCode.INVALID_ARGUMENT, StatusCode.OUT_OF_RANGE


def floats(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def network_input(array):
    return pb.Image(input=tensors.from_array(np.asarray(array)))


def picture(array):
    return pb.Image(pixels=tensors.from_array(np.asarray(array)))


def tensor(data_type, shape, data=b""):
    return pb.Image(input=pb.Tensor(data_type=data_type, shape=shape, data=data))


def explain(image=None, **fields):
    images = fields.pop("images", None) or [image or network_input(floats(3, 16, 16))]
    return pb.ExplainRequest(**({"model": "models/classifier", "images": images} | fields))


FLOAT = pb.DATA_TYPE_FLOAT
# What is asked, the status, and what its text names.
WRONG = {
    "a double": (explain(tensor(pb.DATA_TYPE_DOUBLE, [3, 16, 16])), INVALID, r"images\[0\].input"),
    "no type": (explain(tensor(0, [1], b"0000")), INVALID, "unknown data type 0"),
    "an unknown type": (explain(tensor(99, [1], b"0000")), INVALID, "unknown data type 99"),
    "too few bytes": (explain(tensor(FLOAT, [3, 16, 16], b"0")), INVALID, "3072 bytes, not 1"),
    "a negative size": (explain(tensor(FLOAT, [-3, 16, 16])), INVALID, "negative size"),
    "sizes that overflow": (explain(tensor(FLOAT, [2**62, 2**62, 4])), INVALID, "bytes"),
    "none and many": (explain(tensor(FLOAT, [0, 2**62, 16])), INVALID, r"images\[0\].input|image"),
    "no channel": (explain(network_input(floats(0, 16, 16))), INVALID, "image"),
    "two channels": (explain(network_input(floats(2, 16, 16))), INVALID, "image"),
    "another size": (explain(network_input(floats(3, 8, 16))), INVALID, "image"),
    "a vector": (explain(network_input(floats(768))), INVALID, "image"),
    "a number": (explain(network_input(np.float32(1))), INVALID, "image"),
    "40 dimensions": (explain(network_input(floats(*[1] * 40))), INVALID, "40 of them exceed 32"),
    "inputs that differ": (
        explain(images=[network_input(floats(3, 16, 16)), network_input(floats(3, 16, 8))]),
        INVALID,
        r"images\[1\].input",
    ),
    "both kinds": (
        explain(images=[network_input(floats(3, 16, 16)), picture(pixels())]),
        INVALID,
        "not both",
    ),
    "no image": (pb.ExplainRequest(model="models/classifier"), INVALID, "images: empty"),
    "an empty image": (explain(pb.Image()), INVALID, r"images\[0\]: set one of"),
    "an empty file": (explain(pb.Image(encoded=b"")), INVALID, "picture"),
    "random bytes": (explain(pb.Image(encoded=bytes(range(256)))), INVALID, "picture"),
    "half a picture": (explain(pb.Image(encoded=b"\x89PNG\r\n\x1a\n\0\0")), INVALID, "picture"),
    "float pixels": (explain(picture(floats(16, 16, 3))), INVALID, "float32"),
    "pixels of two channels": (explain(picture(pixels()[..., :2])), INVALID, "picture"),
    "no pixels": (explain(picture(pixels()[:0])), INVALID, "empty"),
    "a channel beyond": (explain(channels=pb.Channels(channels=[5])), RANGE, "no channel 5"),
    "a negative channel": (explain(channels=pb.Channels(channels=[-1])), RANGE, "no channel -1"),
    "a huge channel": (explain(channels=pb.Channels(channels=[2**62])), RANGE, "no channel 46"),
    "no channels": (explain(channels=pb.Channels()), INVALID, "no units"),
    "too many units": (explain(top=6), RANGE, "more than the 5 channels"),
    "no unit": (explain(top=0), INVALID, "top:0"),
    "units below zero": (explain(top=-3), INVALID, "top:-3"),
    "a position beyond": (
        explain(
            layer="c",
            position=pb.POSITION_GIVEN,
            positions=tensors.from_array(np.array([16, 0])),
        ),
        RANGE,
        r"no position \[16, 0\]",
    ),
    "a position of another rank": (
        explain(layer="c", position=pb.POSITION_GIVEN, positions=tensors.from_array(np.array([1]))),
        INVALID,
        "positions",
    ),
    "a position between": (
        explain(
            layer="c",
            position=pb.POSITION_GIVEN,
            positions=tensors.from_array(np.array([0.5, 1.0])),
        ),
        INVALID,
        "positions",
    ),
    "a channel axis beyond": (explain(layer="c", channel_axis=9), INVALID, "axis"),
    "an enum's unknown number": (explain(position=77), INVALID, "position: 77"),
    "a baseline of another shape": (
        explain(
            method="integrated_gradients",
            method_options=pb.MethodOptions(baseline=tensors.from_array(floats(2, 2, 2))),
        ),
        INVALID,
        "baseline",
    ),
    "a baseline that is no number": (
        explain(
            method="integrated_gradients",
            method_options=pb.MethodOptions(baseline=pb.Tensor(data_type=FLOAT, data=b"1")),
        ),
        INVALID,
        "method_options.baseline",
    ),
    "a mean that is no number": (
        explain(picture(pixels()), preprocess=pb.Preprocess(mean=[float("nan")])),
        INVALID,
        "mean",
    ),
    "a deviation of zero": (
        explain(picture(pixels()), preprocess=pb.Preprocess(std=[0.0])),
        INVALID,
        "std",
    ),
    "a negative size to resize to": (
        explain(picture(pixels()), preprocess=pb.Preprocess(height=-5, width=5)),
        INVALID,
        "size",
    ),
    "a step of no number": (
        explain(
            method="activation_maximisation",
            method_options=pb.MethodOptions(step_size=float("nan")),
        ),
        INVALID,
        "step size nan",
    ),
    "a window of zero": (
        explain(method="occlusion", method_options=pb.MethodOptions(window=[0])),
        INVALID,
        "window",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", ["Explain", "ExplainUnits"])
def test_a_wrong_request(stub, name, kind):
    request, code, text = WRONG[name]
    with pytest.raises(grpc.RpcError, match=text) as caught:
        list(getattr(stub, kind)(request, timeout=20)) if kind != "Explain" else stub.Explain(
            request, timeout=20
        )
    assert caught.value.code() is code
    assert "/" not in caught.value.details().replace("models/", "").replace("versions/", "")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("method", ["gradient", "deconvnet", "lrp", "integrated_gradients", "rise"])
def test_values_that_are_not_finite_are_told_by_a_note(stub, value, method):
    array = floats(3, 16, 16)
    array[0, 3, 3] = value
    options = {"rise": {"masks": 20}, "integrated_gradients": {"steps": 4}}.get(method, {})
    answer = stub.Explain(
        explain(network_input(array), method=method, method_options=pb.MethodOptions(**options))
    )
    attribution = tensors.to_array(answer.attribution)
    score = tensors.to_array(answer.score)
    if not (np.isfinite(attribution).all() and np.isfinite(score).all()):
        assert any("NaN or infinite" in note for note in answer.notes)
    assert attribution.shape[:2] == (1, 1)


def test_the_service_still_answers(stub):
    assert stub.Explain(explain(channels=pb.Channels(channels=[0]))).layer == "score"
