"""Invalid and hostile requests of the Open Inference Protocol: the right status and what to do."""

import re

import grpc
import numpy as np
import pytest
from grpc import StatusCode
from server.inference_requests import arrays, every_input, request, write_inference_models
from server.running import running

from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.inference import open_inference_pb2_grpc

PICTURES = np.zeros((2, 3, 16, 16), np.float32)
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with running(write_inference_models(tmp_path_factory.mktemp("inference"))) as address:
        yield address


@pytest.fixture(scope="module")
def channel(address):
    with grpc.insecure_channel(address, OPTIONS) as channel:
        yield channel


@pytest.fixture(scope="module")
def oip(channel):
    return open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)


def plain(**parameters):
    return request("classifier", {"image": PICTURES}, **parameters)


def typed():
    return request("classifier", {"image": PICTURES}, typed=True)


def changed(made, change):
    change(made)
    return made


def image(made):
    return made.inputs[0]


def shaped(*shape):
    def change(made):
        image(made).shape[:] = shape

    return changed(plain(), change)


def twice(made):
    made.inputs.append(made.inputs[0])
    made.raw_input_contents.append(made.raw_input_contents[0])


def of_int8(values):
    made = pb.ModelInferRequest(model_name="every_datatype")
    tensor = made.inputs.add(name="int8_in", datatype="INT8", shape=[1, 3])
    tensor.contents.int_contents.extend(values)
    return made


def of_fp16():
    made = pb.ModelInferRequest(model_name="every_datatype")
    tensor = made.inputs.add(name="float16_in", datatype="FP16", shape=[1, 3])
    tensor.contents.fp32_contents.extend([1, 2, 3])
    return made


def of_bytes():
    made = pb.ModelInferRequest(model_name="text", raw_input_contents=[b"\x01\0\0\0a"])
    made.inputs.add(name="words", datatype="BYTES", shape=[1])
    return made


INVALID, MISSING = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND
PRECONDITION, RANGE = StatusCode.FAILED_PRECONDITION, StatusCode.OUT_OF_RANGE

WRONG = {
    "no model": (pb.ModelInferRequest(), INVALID, "does not name a model"),
    "unknown model": (request("petz", {}), MISSING, "no model 'petz' .*pets"),
    "unknown version": (request("pets", {}, version="9"), MISSING, "it has 2, 3"),
    "climbing name": (request("../pets", {}), INVALID, "does not name a model"),
    "climbing version": (request("pets", {}, version="../2"), INVALID, "does not name a model"),
    "two versions": (request("models/pets/versions/2", {}, version="3"), INVALID, "differ"),
    "broken model": (request("broken", {}), PRECONDITION, "not an ONNX model"),
    "no input": (request("classifier", {}), INVALID, r"'image' .* is missing"),
    "no input to explain": (
        request("classifier", {}, method="gradient"), INVALID, r"'image' .* is missing"
    ),
    "no further input": (
        request("two_floats", {"image": np.zeros((1, 3, 8, 8), np.float32)}, method="gradient"),
        INVALID, "depends on 'gains'",
    ),
    "unknown input": (request("classifier", {"imag": PICTURES}), INVALID, "no input 'imag'.*image"),
    "unknown input to explain": (
        request("classifier", {"imag": PICTURES}, method="gradient"), INVALID, "no input 'imag'"
    ),
    "input twice": (changed(plain(), twice), INVALID, r"inputs\[1\].name: 'image' is there twice"),
    "a weight's values": (
        request("classifier", {"image": PICTURES, "b": np.zeros(6, np.float32)}),
        INVALID, "no input 'b'",
    ),
    "shape too small": (shaped(1, 3, 16, 16), INVALID, "6144 bytes, and FP32 .* has 3072"),
    "shape too large": (shaped(4, 3, 16, 16), INVALID, "has 12288"),
    "huge shape": (shaped(2**40, 2**40, 2**40, 2**40), INVALID, "6144 bytes"),
    "overflowing shape": (shaped(2**62, 4, 16, 16), INVALID, "6144 bytes"),
    "negative size": (shaped(-1, 3, 16, 16), INVALID, r"\[-1, 3, 16, 16\] has a negative size"),
    "two negative sizes": (shaped(-2, -3, 16, 16), INVALID, "negative size"),
    "size of zero": (
        request("classifier", {"image": PICTURES[:0]}), INVALID, r"float32 \[0, 3, 16, 16\]"
    ),
    "a thousand sizes": (shaped(2, 3, 16, 16, *[1] * 1000), INVALID, "of 1004 sizes"),
    "rank": (request("classifier", {"image": PICTURES[0]}), INVALID, r"\[3, 16, 16\]: give"),
    "fixed size": (request("classifier", {"image": PICTURES[..., :8]}), INVALID, "16, 8"),
    "wrong dtype": (
        request("classifier", {"image": PICTURES.astype(np.float64)}), INVALID, "float64"
    ),
    "unknown datatype": (
        changed(plain(), lambda m: setattr(image(m), "datatype", "FP31")), INVALID, "'FP31' is not"
    ),
    "BYTES": (of_bytes(), INVALID, "'BYTES' is not served: send one of BOOL"),
    "BF16": (
        changed(plain(), lambda m: setattr(image(m), "datatype", "BF16")), INVALID, "'BF16' is not"
    ),
    "raw and typed": (
        changed(plain(), lambda m: image(m).contents.fp32_contents.append(1)),
        INVALID, "contents: set beside raw_input_contents",
    ),
    "too few raw values": (
        changed(plain(), lambda m: m.inputs.add(name="b")), INVALID, "1 values for 2 inputs"
    ),
    "too many raw values": (
        changed(plain(), lambda m: m.raw_input_contents.append(b"")), INVALID, "2 values for 1"
    ),
    "typed values are missing": (
        changed(typed(), lambda m: image(m).contents.fp32_contents.pop()), INVALID, "1535 values"
    ),
    "typed values of a huge shape": (
        changed(typed(), lambda m: image(m).shape.__setitem__(0, 2**60)), INVALID, "1536 values"
    ),
    "typed values in another field": (
        changed(typed(), lambda m: image(m).contents.fp64_contents.append(1)),
        INVALID, "fp64_contents: does not hold FP32: set fp32_contents",
    ),
    "typed values out of range": (of_int8([1, 2, 128]), INVALID, "outside -128 to 127"),
    "typed FP16": (of_fp16(), INVALID, "FP16 has only raw_input_contents"),
    "an input's parameter": (
        changed(plain(), lambda m: setattr(
            image(m).parameters["shared_memory_region"], "string_param", "x")),
        INVALID, "'shared_memory_region' is not served",
    ),
    "unknown output": (
        changed(plain(), lambda m: m.outputs.add(name="probs")),
        INVALID, "no output 'probs' .*probabilities",
    ),
    "unknown output of an explanation": (
        changed(plain(method="gradient"), lambda m: m.outputs.add(name="atribution")),
        INVALID, "no 'atribution' .*attribution",
    ),
    "output that the explanation lacks": (
        changed(plain(method="gradient"), lambda m: m.outputs.add(name="position")),
        INVALID, "by gradient has no 'position'",
    ),
    "output twice": (
        changed(plain(), lambda m: [m.outputs.add(name="probabilities") for _ in "ab"]),
        INVALID, r"outputs\[1\].name: 'probabilities' is there twice",
    ),
    "an output's parameter": (
        changed(plain(), lambda m: setattr(
            m.outputs.add(name="probabilities").parameters["classification"], "int64_param", 3)),
        INVALID, "'classification' is not served",
    ),
    "samples beyond the service's limit": (
        plain(method="smoothgrad", samples=10**6), INVALID, "samples: 1,000,000 exceeds 10,000"
    ),
    "runs beyond the service's limit": (
        request("wide", {"image": np.zeros((1, 3, 400, 400), np.float32)}, method="occlusion",
                layer="y", channel=0, position="0,0", window=1, stride=1),
        INVALID, "160,000 runs of the network exceed 100,000",
    ),
    "unknown parameter": (plain(methods="gradient"), INVALID, "no 'methods' .*method"),
    "parameter without method": (plain(channel=3), INVALID, "channel: .* name its `method` too"),
    "parameter without value": (
        changed(plain(method="gradient"), lambda m: m.parameters["layer"]), INVALID, "has no value"
    ),
    "unknown method": (plain(method="gradiant"), INVALID, "no method 'gradiant' .*gradient"),
    "method that is no text": (plain(method=3), INVALID, "method: '3': give a text"),
    "unknown layer": (plain(method="gradient", layer="scor"), MISSING, "no layer 'scor' .*score"),
    "channel list": (plain(method="gradient", channel="1;2"), INVALID, "channel: '1;2': give a"),
    "channel out of range": (plain(method="gradient", channel=5), RANGE, "channel"),
    "channel below zero": (plain(method="gradient", channel=-9), RANGE, "channel"),
    "huge channel": (plain(method="gradient", channel="9" * 18), RANGE, "channel"),
    "channel with a thousand digits": (
        plain(method="gradient", channel="9" * 1000), INVALID, "channel: '9{100}': give"
    ),
    "channel that is true": (plain(method="gradient", channel=True), INVALID, "channel: 'True'"),
    "position": (plain(method="gradient", position="centre"), INVALID, "position: 'centre': give"),
    "position out of range": (
        plain(method="gradient", layer="r", channel=1, position="99,0"), RANGE, "99"
    ),
    "option of another method": (plain(method="gradient", samples=3), INVALID, "samples"),
    "option that is no number": (
        plain(method="smoothgrad", samples="many"), INVALID, "samples: 'many': give a whole number"
    ),
    "option that is no whole number": (
        plain(method="smoothgrad", samples=2.5), INVALID, "samples: '2.5': give a whole number"
    ),
    "option that is not finite": (
        plain(method="smoothgrad", noise_level=float("nan")), INVALID, "noise_level: 'nan'"
    ),
    "list where a number is due": (
        plain(method="smoothgrad", samples="3,4"), INVALID, "samples: '3,4'"
    ),
    "option below its bound": (plain(method="smoothgrad", samples=0), INVALID, "samples"),
    "switch": (plain(method="gradient", negate=1), INVALID, "negate: '1': give true or false"),
    "word": (plain(method="gradient", unpool="best"), INVALID, "no unpool 'best'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_has_the_right_status(oip, name):
    made, code, text = WRONG[name]
    with pytest.raises(grpc.RpcError) as caught:
        oip.ModelInfer(made, timeout=30)
    assert caught.value.code() is code
    assert re.search(text, caught.value.details()), caught.value.details()
    assert "onnxplain-error" in dict(caught.value.trailing_metadata())
    assert "/tmp/" not in caught.value.details()


def test_the_service_still_answers(oip):
    assert list(arrays(oip.ModelInfer(plain()))) == ["probabilities"]


def test_nan_is_a_value(oip):
    pictures = PICTURES.copy()
    pictures[1, 0, 0, 0] = np.nan
    found = arrays(oip.ModelInfer(request("classifier", {"image": pictures})))["probabilities"]
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).any()
    asked = request("classifier", {"image": pictures}, method="gradient", channel=1)
    response = oip.ModelInfer(asked)
    assert "values are NaN or infinite" in response.parameters["notes"].string_param


def test_raw_booleans_of_other_bytes_are_true(oip):
    made = request("every_datatype", every_input(1), outputs=("bool_out",))
    made.raw_input_contents[0] = b"\x02\x00\xff"
    assert oip.ModelInfer(made).raw_output_contents[0] == b"\x01\x00\x01"


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff", b"\x0a\x05ab", b"\x2a\xff\xff\xff\xff\x7f", b"\x3a\x80\x80\x80\x80\x80"],
)
def test_bytes_that_are_no_message(channel, data):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(data, timeout=30)
    assert caught.value.code() is INVALID


@pytest.mark.parametrize("call", ["ModelConfig", "RepositoryIndex", "ModelStreamInfer"])
def test_extensions_are_not_implemented(channel, call):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/inference.GRPCInferenceService/{call}")(b"", timeout=30)
    assert caught.value.code() is StatusCode.UNIMPLEMENTED
    assert "no such call" in caught.value.details()
    assert "an extension that it does not offer" in caught.value.details()


@pytest.mark.parametrize("parameters", [{}, {"method": "gradient", "channel": "all"}])
def test_an_answer_beyond_the_limit(oip, parameters):
    inputs = {"image": np.ones((1, 3, 600, 600), np.float32)}
    with pytest.raises(grpc.RpcError) as caught:
        oip.ModelInfer(request("wide", inputs, **parameters), timeout=60)
    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED
    assert dict(caught.value.trailing_metadata())["onnxplain-error"] == "AnswerTooLarge"


def test_an_answer_just_below_the_limit(oip):
    """gRPC's own limit of 4 MiB is the client's to raise."""
    inputs = {"image": np.ones((1, 3, 500, 500), np.float32)}
    response = oip.ModelInfer(request("wide", inputs), timeout=60)
    assert len(response.raw_output_contents[0]) == 64 * 500 * 500 * 4


LONG = "x" * 2**24


@pytest.mark.parametrize(
    "made",
    [
        request(LONG, {"image": PICTURES}),
        request("classifier", {LONG: PICTURES}),
        plain(method=LONG),
        plain(method="gradient", layer=LONG),
        plain(method="gradient", channel="1," * 2**23),
        plain(outputs=(LONG,)),
        plain(outputs=tuple(map(str, range(2**20)))),
        plain(**{LONG: 1}),
        plain(**{f"triton_{i}": 1 for i in range(2**17)}, outputs=("none",)),
    ],
    ids=["model", "input", "method", "layer", "channels", "output", "outputs", "name", "names"],
)
def test_long_names_and_lists_are_refused_soon(oip, made):
    with pytest.raises(grpc.RpcError) as caught:
        oip.ModelInfer(made, timeout=10)
    assert caught.value.code() in (INVALID, MISSING)
