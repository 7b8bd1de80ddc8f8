"""Which networks can slide over a larger picture, and why the others are refused."""

import io
import json
import warnings
from pathlib import Path

import nets
import numpy as np
import onnx
import pytest
import torch
from artefacts import images, network, run
from torch import nn

from onnxplain.graphops import convolutionalize, load, read_metadata
from onnxplain.graphops.errors import UnsupportedModel

HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'
GATED = """
gated (float[N, 3, 9, 9] x, float[4, 3, 3, 3] w1, float[4, 4, 1, 1] w2) => (float[N, 4, 1, 1] y)
{
    c = Conv (x, w1)
    m = GlobalAveragePool (c)
    e = Conv (m, w2)
    s = Sigmoid (e)
    g = Mul (c, s)
    y = GlobalAveragePool (g)
}
"""
NORMED = """
normed (float[N, 3, 9, 9] x, float[4, 3, 3, 3] w1, float[4] s, float[4] b) => (float[N, 4, 1, 1] y)
{ c = Conv (x, w1)  n = InstanceNormalization (c, s, b)  y = GlobalAveragePool (n) }
"""
PLACES = """
places (float[N, 3, 9, 9] x, float[3, 9, 9] k, float[243, 2] w) => (float[N, 2] y)
{ a = Add (x, k)  f = Flatten (a)  y = MatMul (f, w) }
"""
CORNER = """
corner (float[N, 3, 9, 9] x) => (float[N, 3, 8, 9] y)
{
    a = Constant <value_ints = [1]> ()
    b = Constant <value_ints = [9]> ()
    c = Constant <value_ints = [2]> ()
    y = Slice (x, a, b, c)
}
"""
TURNED = """
turned (float[N, 3, 9, 9] x) => (float[N, 9, 9, 3] y) { y = Transpose <perm = [0, 2, 3, 1]> (x) }
"""
PRODUCT = """
product (float[N, 3, 9, 9] x) => (float[N, 9, 9] y)
{ m = ReduceMean <axes = [1], keepdims = 0> (x)  y = Relu (m) }
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GATED, "Mul 'g' combines .* squeeze-and-excitation"),
        (NORMED, "InstanceNormalization 'n' has no sliding rule"),
        (PLACES, "Add 'a' takes a constant that differs between the positions"),
        (CORNER, "Slice 'y' picks a part of the window other than whole channels"),
        (TURNED, "Transpose 'y' has an output that is neither"),
        (PRODUCT, "ReduceMean 'm' reduces over other axes than exactly the positions"),
    ],
)
def test_what_cannot_slide_is_refused(text, why):
    with pytest.raises(UnsupportedModel, match=f"{why}.*cut windows"):
        convolutionalize(network(HEAD + text))


@pytest.mark.parametrize("name", ["alexnet", "vgg", "resnet", "inception", "densenet"])
def test_one_window_is_classified_as_before(name):
    """They pad, so that only for a picture of one window the numbers must be the classifier's."""
    model = nets.export(name, dynamic=False, batch=1)
    made = convolutionalize(model)
    onnx.checker.check_model(made, full_check=True)
    picture = images(1, nets.SIZE)
    expected, got = run(model, x=picture)["y"], run(made, x=picture)["y"]
    assert got.shape == (*expected.shape, 1, 1)
    np.testing.assert_allclose(got[..., 0, 0], expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


def test_squeeze_and_excitation_of_pytorch_is_refused():
    with pytest.raises(UnsupportedModel, match="Mul .* squeeze-and-excitation"):
        convolutionalize(nets.export("mobilenet", dynamic=False, batch=1))


def test_a_network_of_pytorch():
    """VGG's shape, as PyTorch exports it; the oracle is PyTorch itself, on unfolded windows."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 3),
        nn.ReLU6(), nn.Flatten(), nn.Linear(5 * 5 * 4, 9), nn.ReLU(), nn.Dropout(), nn.Linear(9, 3),
        nn.Softmax(1),
    ).eval()  # fmt: skip
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, torch.zeros(1, 3, 16, 14), file, input_names=["x"], dynamo=False)
    made = convolutionalize(onnx.load_from_string(file.getvalue()))
    assert json.loads(read_metadata(made)["onnxplain.sliding"])["stride"] == [2, 2]
    picture = torch.tensor(images(2, (24, 20)))
    windows = picture.unfold(2, 16, 2).unfold(3, 14, 2)  # [N, C, Y, X, 16, 14]
    count, _, rows, columns = windows.shape[:4]
    with torch.no_grad():
        scores = net(windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 16, 14))
    expected = scores.reshape(count, rows, columns, 3).permute(0, 3, 1, 2).numpy()
    (got,) = run(made, x=picture.numpy()).values()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


SQUEEZENET = Path(__file__).parents[3].parent / "shared" / "models" / "squeezenet_fp32.onnx"


@pytest.mark.skipif(not SQUEEZENET.is_file(), reason="no ../shared/models/squeezenet_fp32.onnx")
def test_squeezenet_pools_and_normalizes_each_window():
    """The oracle: its maps of classes for the whole picture, from the file with its input freed."""
    picture = 60 * images(1, (270, 250)) + 110
    maps = onnx.load(SQUEEZENET)
    shapes = {v.name: v.type.tensor_type.shape for v in maps.graph.input}
    for dim in shapes["data_0"].dim[2:]:
        dim.Clear()
    (pool,) = (n for n in maps.graph.node if n.op_type == "GlobalAveragePool")
    del maps.graph.output[:], maps.graph.value_info[:]
    maps.graph.output.append(onnx.helper.make_empty_tensor_value_info(pool.input[0]))
    maps.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    (values,) = run(maps, data_0=picture).values()
    windows = np.lib.stride_tricks.sliding_window_view(values, (13, 13), axis=(2, 3))
    powers = np.exp(windows.mean(axis=(4, 5)))
    (got,) = run(convolutionalize(load(SQUEEZENET)), data_0=picture).values()
    assert got.shape == (1, 1000, 3, 2)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-6)
