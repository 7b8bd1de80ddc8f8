"""Further inputs, several targets and regions over gRPC, against what the engine gives."""

import io

import grpc
import numpy as np
import onnx
import pytest
from artefacts import CONVOLUTIONAL, network
from grpc import StatusCode
from server.running import running

from onnxplain.client import Client, ClientError
from onnxplain.engine import Engine
from onnxplain.graphops.errors import OnnxplainError
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc, tensors

# The attributions to `field` exceed 1 MiB, so that they come in pieces.
TWO = """
<ir_version: 8, opset_import: ["": 17]>
two (float[N, 3, 8, 8] image, float[N, 300000] field, float[3, 4] v, float[4] w)
    => (float[N, 4] y)
{
    m = ReduceMean <axes = [2, 3], keepdims = 0> (image)
    h = MatMul (m, v)
    t = ReduceMean <axes = [1], keepdims = 1> (field)
    g = Mul (t, w)
    y = Mul (h, g)
}
"""
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((2, 3, 8, 8)).astype(np.float32)
FIELDS = RNG.standard_normal((2, 300000)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    onnx.save(network(TWO, ("image", "field")), folder / "two.onnx")
    onnx.save(network(CONVOLUTIONAL), folder / "map.onnx")
    np.savez(folder / "both.npz", field=FIELDS, image=IMAGES)
    np.save(folder / "images.npy", IMAGES)
    np.save(folder / "one.npy", IMAGES[0])
    return folder


@pytest.fixture(scope="module")
def address(folder):
    with running(folder) as address:
        yield address


@pytest.fixture
def client(address):
    with Client(address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def expected(folder):
    return Engine("cpu").explain(
        folder / "two.onnx", IMAGES, None, "gradient", (0, 3), inputs={"field": FIELDS}, to="all"
    )


def assert_same(result, expected):
    assert result.to == expected.to
    np.testing.assert_array_equal(result.attribution, expected.attribution)
    np.testing.assert_array_equal(result.score, expected.score)
    assert set(result.others) == set(expected.others)
    for name, values in expected.others.items():
        np.testing.assert_array_equal(result.others[name], values)


def test_every_form_of_further_inputs(client, folder, expected):
    for images, inputs in (
        (IMAGES, {"field": FIELDS}),
        (folder / "images.npy", {"field": FIELDS}),
        (folder / "both.npz", None),
        ([str(folder / "both.npz")], {}),
        (list(IMAGES), {"field": list(FIELDS)}),
    ):
        result = client.explain("two", images, None, "gradient", (0, 3), inputs=inputs, to="all")
        assert list(result.others) == ["field"]
        assert result.others["field"].shape == (2, 2, 300000)
        assert_same(result, expected)


def test_one_image_without_a_batch_axis(client, folder, expected):
    one = {"field": FIELDS[0]}
    for image in (IMAGES[0], folder / "one.npy"):
        result = client.explain("two", image, None, "gradient", (0, 3), inputs=one, to="all")
        np.testing.assert_array_equal(result.attribution, expected.attribution[:1])


def test_the_unary_call_has_the_attributions_in_pieces(address, expected):
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, options) as channel:
        stub = explain_pb2_grpc.ExplainServiceStub(channel)
        response = stub.Explain(
            pb.ExplainRequest(
                model="models/two",
                images=[pb.Image(input=tensors.from_array(image)) for image in IMAGES],
                inputs=[
                    pb.NamedInput(
                        name="field",
                        images=[pb.Image(input=tensors.from_array(one)) for one in FIELDS],
                    )
                ],
                method="gradient",
                channels=pb.Channels(channels=[3]),
                to="all",
            )
        )
    assert {one.name for one in response.others} == {"field"}
    assert len(response.others) > 1
    found = tensors.join(one.values for one in response.others)
    np.testing.assert_array_equal(found, expected.others["field"][:, 1:])


def test_a_region(client, folder, tmp_path):
    x, mask = IMAGES[:, :, :6], np.zeros((6, 8), np.uint8)
    mask[1:4, 2:5] = 255
    np.save(tmp_path / "mask.npy", mask)
    expected = Engine("cpu").explain(folder / "map.onnx", x, None, "deconvnet", 1, region=mask)
    for region in (mask, tmp_path / "mask.npy", mask / np.float32(255)):
        result = client.explain("map", x, None, "deconvnet", 1, region=region)
        np.testing.assert_allclose(result.attribution, expected.attribution, atol=1e-7)
        assert result.position is None
    with pytest.raises(ClientError, match="give an array, or a .npy file"):
        client.explain("map", x, region="mask.png")


def test_what_is_missing_is_named(client, folder):
    with pytest.raises(ClientError, match=r"'field' \(float32 \[N, 300000\]\)") as caught:
        client.explain("two", IMAGES)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT
    with pytest.raises(ClientError, match="POSITION_REGION needs it"):
        client.explain("map", IMAGES, position="region")
    with pytest.raises(ClientError, match="is a URL: download it first"):
        client.explain("two", "https://example.com/cat.png")
    with pytest.raises(OnnxplainError, match="is a URL: download it first"):
        Engine("cpu").explain("s3://bucket/net.onnx", IMAGES)


def test_numpy_files_are_not_opened_by_the_service(address):
    """The header of such a file may claim any size."""
    file = io.BytesIO()
    np.save(file, IMAGES[0])
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        stub = explain_pb2_grpc.ExplainServiceStub(channel)
        request = pb.ExplainRequest(model="models/map", images=[pb.Image(encoded=file.getvalue())])
        with pytest.raises(grpc.RpcError, match=r"images\[0\]\.encoded: a NumPy file") as caught:
            stub.Explain(request)
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT
