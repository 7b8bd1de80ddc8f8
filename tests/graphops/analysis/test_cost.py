"""What a layer costs, counted by hand."""

import nets
import pytest
import torch
from artefacts import network

from onnxplain.graphops import layers
from onnxplain.graphops.errors import UnsupportedModel

NET = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 4, H, W] x, float[6, 2, 3, 5] w, float[6] b, float[6, 3, 2, 2] t,
     float[6] s, float[6] u, float[6] m, float[6] varv, float[6, 9] d, float[9] e, float[9, 2] f)
    => (float[N, 2] y)
{
    conv = Conv <group = 2, strides = [2, 1], pads = [1, 2, 0, 2]> (x, w, b)
    norm = BatchNormalization (conv, s, u, m, varv)
    up = ConvTranspose <group = 2, strides = [2, 2]> (norm, t)
    pool = AveragePool <kernel_shape = [3, 3], auto_pad = "SAME_UPPER"> (up)
    means = GlobalAveragePool (pool)
    flat = Flatten (means)
    dense = Gemm (flat, d, e)
    y = MatMul (dense, f)
}
"""


def found(size=None):
    return {layer.tensor: layer.arithmetic for layer in layers(network(NET), size)}


def test_by_hand():
    """The picture is 10 x 8, so that `conv` is 6 x 5 x 8 and `up` 6 x 10 x 16."""
    got = found((10, 8))
    conv = got["conv"]
    assert (conv.kernel, conv.step, conv.padding) == ((3, 5), (2, 1), (1, 2, 0, 2))
    assert conv.parameters == 6 * 2 * 3 * 5 + 6
    assert conv.multiply_adds == (6 * 5 * 8) * (2 * 3 * 5)
    assert got["up"].parameters == 6 * 3 * 2 * 2
    assert got["up"].multiply_adds == (6 * 5 * 8) * (3 * 2 * 2)
    assert (got["norm"].parameters, got["norm"].multiply_adds) == (24, 0)
    assert (got["pool"].kernel, got["pool"].padding) == ((3, 3), (1, 1, 1, 1))
    assert (got["dense"].parameters, got["dense"].multiply_adds) == (6 * 9 + 9, 6 * 9)
    assert (got["y"].parameters, got["y"].multiply_adds) == (18, 18)
    assert (got["x"].parameters, got["x"].multiply_adds, got["x"].kernel) == (0, 0, None)


def test_sizes_that_are_not_known():
    got = found()
    assert got["conv"].multiply_adds is got["up"].multiply_adds is None
    assert got["dense"].multiply_adds == 54


def test_a_size_makes_every_size_known():
    shapes = {layer.tensor: layer.shape for layer in layers(network(NET), (10, 8))}
    assert shapes["conv"][1:] == (6, 5, 8)
    assert shapes["up"][1:] == (6, 10, 16)


def test_a_size_that_the_model_does_not_take():
    fixed = NET.replace("N, 4, H, W", "N, 4, 12, W")
    with pytest.raises(UnsupportedModel, match="fixed size 12, not 10"):
        layers(network(fixed), (10, 8))
    with pytest.raises(UnsupportedModel, match="2 spatial axes"):
        layers(network(NET), (10,))


def counted(net, x):
    """Return the multiply-adds that PyTorch's own modules come to, one for one weight used once."""
    total = []

    def count(module, inputs, output):
        per_output = module.weight[0].numel()
        total.append(output[0].numel() * per_output)

    hooks = [
        m.register_forward_hook(count)
        for m in net.modules()
        if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return sum(total)


@pytest.mark.parametrize("name", ["alexnet", "vgg"])
def test_sums_are_those_of_pytorch(name):
    """Groups, dilation and a batch of two, of which one image is counted."""
    net = nets.build(name)
    got = [layer.arithmetic for layer in layers(nets.export(name, dynamic=False))]
    assert sum(a.parameters for a in got) == sum(p.numel() for p in net.parameters())
    assert sum(a.multiply_adds for a in got) == counted(net, torch.zeros(2, 3, *nets.SIZE))


def test_a_weight_that_two_layers_read_is_one():
    """As in the heads of detectors, which run over every level of a pyramid."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 2, 8, 8] x, float[2, 2, 3, 3] w, float[2] b, float[2] c) => (float[N, 2, 4, 4] y)
    { one = Conv (x, w, b) two = Conv (one, w, c) y = InstanceNormalization (two, c, b) }
    """
    counts = [layer.arithmetic.parameters for layer in layers(network(text))]
    assert counts == [0, 36 + 2, 2, 0]
