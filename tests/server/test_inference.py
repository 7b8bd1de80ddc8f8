"""The Open Inference Protocol over the wire, against ONNX Runtime and the engine."""

import grpc
import numpy as np
import onnxruntime
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from server.inference_requests import (
    DATATYPES,
    arrays,
    every_input,
    request,
    write_inference_models,
)
from server.running import running

from onnxplain.engine import Engine
from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.inference import open_inference_pb2_grpc

NAME = "inference.GRPCInferenceService"
RNG = np.random.default_rng(0)
PICTURES = RNG.normal(size=(2, 3, 16, 16)).astype(np.float32)
BYTES = RNG.integers(0, 256, (3, 3, 8, 8), np.uint8)
GAINS = RNG.normal(size=(3, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_inference_models(tmp_path_factory.mktemp("inference"))


@pytest.fixture(scope="module")
def channel(folder):
    with (
        running(folder) as address,
        grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel,
    ):
        yield channel


@pytest.fixture(scope="module")
def oip(channel):
    return open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def run(path, inputs, outputs=None):
    return onnxruntime.InferenceSession(path).run(outputs, inputs)


def test_health_and_reflection_name_the_service(channel):
    health = health_pb2_grpc.HealthStub(channel)
    state = health.Check(health_pb2.HealthCheckRequest(service=NAME)).status
    assert state == health_pb2.HealthCheckResponse.SERVING
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=NAME),
    ]
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    services, files = stub.ServerReflectionInfo(iter(asked))
    assert NAME in {service.name for service in services.list_services_response.service}
    assert files.file_descriptor_response.file_descriptor_proto


def test_the_protocols_names_and_numbers():
    """The messages are the protocol's, whatever package of Python holds them."""
    assert pb.ModelInferRequest.DESCRIPTOR.full_name == "inference.ModelInferRequest"
    numbers = {f.name: f.number for f in pb.ModelInferRequest.DESCRIPTOR.fields}
    assert numbers == {
        "model_name": 1, "model_version": 2, "id": 3, "parameters": 4, "inputs": 5, "outputs": 6,
        "raw_input_contents": 7,
    }  # fmt: skip
    numbers = {f.name: f.number for f in pb.ModelInferResponse.DESCRIPTOR.fields}
    assert numbers == {
        "model_name": 1, "model_version": 2, "id": 3, "parameters": 4, "outputs": 5,
        "raw_output_contents": 6,
    }  # fmt: skip


def test_server(oip):
    assert oip.ServerLive(pb.ServerLiveRequest()).live
    assert oip.ServerReady(pb.ServerReadyRequest()).ready
    metadata = oip.ServerMetadata(pb.ServerMetadataRequest())
    assert (metadata.name, list(metadata.extensions)) == ("onnxplain", ["explanation"])


@pytest.mark.parametrize(
    "name, ready", [("pets", True), ("models/pets", True), ("broken", False)]
)  # fmt: skip
def test_model_ready(oip, name, ready):
    assert oip.ModelReady(pb.ModelReadyRequest(name=name)).ready is ready


def test_model_metadata(oip):
    found = oip.ModelMetadata(pb.ModelMetadataRequest(name="pets", version="2"))
    assert (found.name, list(found.versions)) == ("pets", ["2", "3"])
    assert found.platform == "onnx_onnxv1"
    (image,), (scores,) = found.inputs, found.outputs
    assert (image.name, image.datatype, list(image.shape)) == ("image", "FP32", [-1, 3, 16, 16])
    assert (scores.name, scores.datatype, list(scores.shape)) == ("probabilities", "FP32", [-1, 5])


def test_model_metadata_names_every_datatype(oip):
    found = oip.ModelMetadata(pb.ModelMetadataRequest(name="every_datatype"))
    assert [value.datatype for value in found.inputs] == list(DATATYPES)
    text = oip.ModelMetadata(pb.ModelMetadataRequest(name="text"))
    assert text.inputs[0].datatype == "BYTES"


@pytest.mark.parametrize("count", [1, 3])
def test_raw_values_of_every_datatype_arrive_and_return(oip, count):
    inputs = every_input(count)
    response = oip.ModelInfer(request("every_datatype", inputs))
    assert [output.datatype for output in response.outputs] == list(DATATYPES)
    found = arrays(response)
    for name, values in inputs.items():
        same = found[name.replace("_in", "_out")]
        assert same.dtype == values.dtype
        np.testing.assert_array_equal(same, values)


def test_typed_values_of_every_datatype_arrive_and_return(oip):
    """FP16 has no typed contents, so another test's model returns these."""
    values = {"image": BYTES, "gains": GAINS}
    raw, typed = (oip.ModelInfer(request("two_inputs", values, typed=t)) for t in (False, True))
    assert not typed.raw_output_contents and typed.outputs[0].contents.fp32_contents
    np.testing.assert_array_equal(arrays(typed)["scores"], arrays(raw)["scores"])


def test_plain_inference_is_onnx_runtimes(oip, folder):
    response = oip.ModelInfer(request("classifier", {"image": PICTURES}))
    assert (response.model_name, response.model_version, response.id) == ("classifier", "1", "7")
    (expected,) = run(folder / "classifier.onnx", {"image": PICTURES})
    np.testing.assert_array_equal(arrays(response)["probabilities"], expected)


def test_the_trailing_metadata_tells_what_a_call_has_used(oip):
    for cache in ("miss", "hit"):
        call = oip.ModelInfer.with_call(request("pets", {"image": PICTURES}, method="gradient"))[1]
        told = dict(call.trailing_metadata())
        assert float(told["onnxplain-compute-ms"]) > 0 and "onnxplain-queue-ms" in told
        assert (told["onnxplain-batch"], told["onnxplain-cache"]) == ("2", cache)


@pytest.mark.parametrize(
    "name, version, run_version",
    [
        ("pets", "", "3"), ("models/pets", "", "3"), ("pets", "2", "2"),
        ("models/pets/versions/2", "", "2"), ("models/pets/versions/2", "2", "2"),
    ],
)  # fmt: skip
def test_names_and_versions(oip, folder, name, version, run_version):
    response = oip.ModelInfer(request(name, {"image": PICTURES}, version=version))
    assert (response.model_name, response.model_version) == ("pets", run_version)
    (expected,) = run(folder / "pets" / run_version / "model.onnx", {"image": PICTURES})
    np.testing.assert_array_equal(arrays(response)["probabilities"], expected)


def test_only_requested_outputs_return_in_their_order(oip, folder):
    pictures = PICTURES[:, :, :8, :8].copy()
    asked = request("colliding", {"image": pictures}, outputs=("top", "score"))
    found = arrays(oip.ModelInfer(asked))
    assert list(found) == ["top", "score"]
    top, score = run(folder / "colliding.onnx", {"image": pictures}, ["top", "score"])
    np.testing.assert_array_equal(found["top"], top)
    np.testing.assert_array_equal(found["score"], score)
    assert list(arrays(oip.ModelInfer(request("colliding", {"image": pictures}, outputs=("top",)))))


@pytest.mark.parametrize(
    "parameters, arguments",
    [
        ({"method": "gradient"}, {}),
        ({"method": "gradient", "channel": 3}, {"units": [3]}),
        ({"method": "gradient", "channel": "3"}, {"units": [3]}),
        ({"method": "gradient", "channel": "3,1"}, {"units": [3, 1]}),
        ({"method": "gradient", "channel": "top:2"}, {"units": "top:2"}),
        ({"method": "gradient", "channel": "all"}, {"units": "all"}),
        ({"method": "deconvnet", "layer": "r", "channel": "0,4"}, {"units": [0, 4]}),
        ({"method": "gradient", "layer": "r", "position": "5,7"}, {"position": (5, 7)}),
        ({"method": "gradient", "layer": "r", "position": "all"}, {"position": "all"}),
        ({"method": "gradient", "to": "c"}, {"to": "c"}),
        ({"method": "gradient", "negate": True}, {"negate": True}),
        ({"method": "gradient", "negate": "true"}, {"negate": True}),
        ({"method": "lrp_epsilon", "seed_value": "one"}, {"seed_value": "one"}),
        ({"method": "smoothgrad", "samples": 3, "noise_level": 0.1, "noise_seed": "5"},
         {"samples": 3, "noise_level": 0.1, "noise_seed": 5}),
        ({"method": "integrated_gradients", "steps": "4", "baseline": "0.5"},
         {"steps": 4, "baseline": 0.5}),
        ({"method": "occlusion", "window": "4,8", "stride": 4}, {"window": (4, 8), "stride": 4}),
        ({"method": "grad_cam", "layer": "r", "upsample": False}, {"upsample": False}),
        ({"method": "gradient", "priority": 1, "timeout": 5, "sequence_id": "x",
          "triton_anything": True}, {}),
    ],
    ids=lambda value: ",".join(map(str, value.values())),
)  # fmt: skip
def test_explanations_are_the_engines(oip, folder, engine, parameters, arguments):
    path = folder / "classifier.onnx"
    method, layer = parameters["method"], parameters.get("layer")
    expected = engine.explain(path, PICTURES, layer, method, **arguments)
    response = oip.ModelInfer(request("classifier", {"image": PICTURES}, **parameters))
    found = arrays(response)
    names = ["attribution", "score", "channels"]
    names += ["position"] if expected.position is not None else []
    assert list(found) == names
    for name in names:
        np.testing.assert_array_equal(found[name], getattr(expected, name))
    texts = {name: value.string_param for name, value in response.parameters.items()}
    assert (texts["method"], texts["layer"], texts["to"]) == (
        expected.method, expected.layer, expected.to,
    )  # fmt: skip
    assert texts.get("notes", "") == "\n".join(expected.notes)


def test_an_explanation_returns_what_is_requested(oip, folder, engine):
    wanted = ("probabilities", "probability", "attribution")
    inputs = {"image": PICTURES}
    asked = request("classifier", inputs, outputs=wanted, method="gradient", channel="1,2")
    found = arrays(oip.ModelInfer(asked))
    assert tuple(found) == wanted
    expected = engine.explain(folder / "classifier.onnx", PICTURES, None, "gradient", [1, 2])
    np.testing.assert_array_equal(found["probability"], expected.probability)
    np.testing.assert_array_equal(found["attribution"], expected.attribution)
    (own,) = run(folder / "classifier.onnx", inputs)
    np.testing.assert_array_equal(found["probabilities"], own)


def test_the_models_own_output_keeps_its_name(oip, folder, engine):
    pictures = PICTURES[:, :, :8, :8].copy()
    asked = request("colliding", {"image": pictures}, method="gradient", layer="top", channel=1)
    found = arrays(oip.ModelInfer(asked))
    assert list(found) == ["attribution", "onnxplain_score", "channels"]
    both = ("score", "onnxplain_score")
    asked = request(
        "colliding", {"image": pictures}, outputs=both, method="gradient", layer="top", channel=1
    )
    found = arrays(oip.ModelInfer(asked))
    (own,) = run(folder / "colliding.onnx", {"image": pictures}, ["score"])
    np.testing.assert_array_equal(found["score"], own)
    expected = engine.explain(folder / "colliding.onnx", pictures, "top", "gradient", [1])
    np.testing.assert_array_equal(found["onnxplain_score"], expected.score)


def slopes(weights_of):
    """Return the derivatives of the third score by its gain."""
    weights = np.linspace(-1, 1, 4 * 3 * 8 * 8).round(4).reshape(4, 3, 8, 8)
    return np.einsum("nchw,chw->n", weights_of.astype(np.float64), weights[2])


def test_bytes_are_values_of_the_network_and_no_picture(oip):
    """The engine would take a uint8 array for pictures to be preprocessed."""
    inputs = {"gains": GAINS, "image": BYTES}
    asked = request("two_inputs", inputs, method="gradient", channel=2, to="gains")
    found = arrays(oip.ModelInfer(asked))
    np.testing.assert_allclose(found["score"][:, 0], slopes(BYTES) * GAINS[:, 2], rtol=1e-4)
    np.testing.assert_allclose(found["attribution"][:, 0, 2], slopes(BYTES), rtol=1e-4)
    assert not found["attribution"][:, 0, :2].any()


def test_attributions_to_further_inputs(oip):
    inputs = {"gains": GAINS, "image": BYTES.astype(np.float32)}
    asked = request("two_floats", inputs, method="gradient", channel=2, to="all")
    found = arrays(oip.ModelInfer(asked))
    assert list(found) == ["attribution", "score", "channels", "attribution.gains"]
    np.testing.assert_allclose(found["attribution.gains"][:, 0, 2], slopes(BYTES), rtol=1e-4)
    assert found["attribution"].shape == (3, 1, 3, 8, 8)
    asked.outputs.add(name="attribution.gains")
    assert list(arrays(oip.ModelInfer(asked))) == ["attribution.gains"]
