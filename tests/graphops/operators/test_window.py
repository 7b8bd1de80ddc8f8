"""Windows of one and three dimensions, norms over windows, unpooling in learned decoders."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, network, run
from check_rule import check_rule, spaced
from oracle import relative_error


def kernel(*shape):
    return spaced(shape, seed=3)


CUBE = (1, 2, 4, 5, 3)
UNEVEN = {"strides": [2, 1, 1], "pads": [1, 0, 0, 1, 1, 0]}


@pytest.mark.parametrize("dilations", [[1, 1, 1], [1, 2, 1]], ids=str)
def test_conv_in_three_dimensions(dilations):
    attrs = {**UNEVEN, "dilations": dilations}
    check_rule("Conv", [CUBE], weights=[kernel(3, 2, 2, 2, 2), kernel(3)], **attrs)
    check_rule("Conv", [CUBE], weights=[kernel(4, 1, 2, 2, 2)], group=2, **attrs)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
def test_conv_in_three_dimensions_same(auto_pad):
    attrs = {"strides": [2, 1, 2], "auto_pad": auto_pad}
    check_rule("Conv", [CUBE], weights=[kernel(2, 2, 3, 2, 2)], **attrs)


@pytest.mark.parametrize("unpool", ["maxunpool", "scatter", "portable"])
def test_max_pool_in_three_dimensions(unpool):
    attrs = {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2], "pads": [0, 1, 0, 0, 0, 1]}
    check_rule("MaxPool", [CUBE], unpool=unpool, **attrs)
    check_rule("MaxPool", [(2, 2, 9)], unpool=unpool, kernel_shape=[3], strides=[4], pads=[1, 0])


@pytest.mark.parametrize("count_include_pad", [0, 1])
@pytest.mark.parametrize("ceil_mode", [0, 1])
def test_average_pool_in_three_dimensions(ceil_mode, count_include_pad):
    attrs = {**UNEVEN, "ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    check_rule("AveragePool", [CUBE], kernel_shape=[2, 3, 2], **attrs)


# Norms over windows: PyTorch's lp_pool knows neither padding nor dilation, so both are done before.


def lp_pool(x, p, size, strides, pads=(0, 0, 0, 0), dilations=(1, 1)):
    top, left, bottom, right = pads
    padded = F.pad(x.abs() ** p, (left, right, top, bottom))
    channels = x.shape[1]
    ones = torch.ones(channels, 1, *size, dtype=x.dtype)
    summed = F.conv2d(padded, ones, None, strides, 0, dilations, channels)
    return summed ** (1 / p)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize(
    ("size", "strides", "pads"),
    [
        ((2, 2), (2, 2), (0, 0, 0, 0)),
        ((2, 3), (2, 1), (1, 0, 0, 1)),
        ((3, 3), (1, 2), (1, 1, 1, 1)),
    ],
    ids=str,
)
def test_lp_pool(size, strides, pads, p):
    def same(x):
        return lp_pool(x, p, size, strides, pads)

    attrs = {"kernel_shape": size, "strides": strides, "pads": pads, "p": p}
    check_rule("LpPool", [(1, 2, 6, 7)], oracle=same, **attrs)


def test_lp_pool_with_dilation_and_by_default():
    def dilated(x):
        return lp_pool(x, 2, (2, 2), (1, 2), dilations=(2, 3))

    attrs = {"kernel_shape": [2, 2], "strides": [1, 2], "dilations": [2, 3]}
    check_rule("LpPool", [(1, 2, 6, 7)], opset=18, oracle=dilated, **attrs)
    check_rule("LpPool", [(2, 2, 6, 7)], oracle=lambda x: lp_pool(x, 2, (3, 2), (1, 1)),
               kernel_shape=[3, 2])  # fmt: skip


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
def test_lp_pool_auto_pad(auto_pad):
    pads = (0, 0, 1, 1) if auto_pad == "SAME_UPPER" else (1, 1, 0, 0)
    attrs = {"kernel_shape": [2, 2], "strides": [1, 1], "auto_pad": auto_pad}
    check_rule(
        "LpPool", [(1, 2, 5, 4)], oracle=lambda x: lp_pool(x, 2, (2, 2), (1, 1), pads), **attrs
    )


def test_lp_pool_in_one_and_three_dimensions():
    check_rule("LpPool", [(1, 2, 7)], kernel_shape=[3], strides=[2])
    check_rule("LpPool", [CUBE], kernel_shape=[2, 2, 2], strides=[1, 2, 1], p=3)


@pytest.mark.parametrize("p", [None, 1, 2, 3])
def test_global_lp_pool(p):
    def same(x):
        return (x.abs() ** (p or 2)).sum((2, 3), keepdim=True) ** (1 / (p or 2))

    attrs = {} if p is None else {"p": p}
    check_rule("GlobalLpPool", [(2, 3, 4, 2)], oracle=same, **attrs)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_where_a_norm_is_zero_nothing_passes(p):
    x = np.zeros((1, 1, 2, 4), np.float32)
    x[..., 2:] = [[1, -2], [0, 3]]

    def same(x):  # PyTorch's own derivative at zero is not a number
        total = (x.abs() ** p).reshape(1, 1, 2, 2, 2).sum((2, 4)).reshape(1, 1, 1, 2)
        return torch.where(total == 0, total * 0, torch.where(total == 0, 1.0, total) ** (1 / p))

    attrs = {"kernel_shape": [2, 2], "strides": [2, 2], "p": p}
    check_rule("LpPool", [x], oracle=same, **attrs)
    check_rule("GlobalLpPool", [x * 0], oracle=lambda x: x.sum((2, 3), keepdim=True) * 0, p=p)


# Unpooling, forward: the indices are flat over all images and channels.

INDICES = np.array([[[[5, 7], [13, 15]], [[16, 18], [24, 31]]]], np.int64)


@pytest.mark.parametrize("output_shape", [None, (1, 2, 4, 4)], ids=str)
def test_max_unpool(output_shape):
    weights = [INDICES] + ([] if output_shape is None else [np.array(output_shape)])
    attrs = {"kernel_shape": [2, 2], "strides": [2, 2]}
    check_rule("MaxUnpool", [(1, 2, 2, 2)], weights=weights, linear=True, **attrs)


DECODER = """
<ir_version: 8, opset_import: ["": 17]>
decoder (float[N, 3, 12, 10] x, float[4, 3, 3, 3] w1, float[4, 4, 3, 3] w2)
    => (float[N, 4, 12, 10] y)
{
    c = Conv <pads = [1, 1, 1, 1]> (x, w1)
    pooled, places = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)
    r = Relu (pooled)
    up = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (r, places)
    y = ConvTranspose <pads = [1, 1, 1, 1]> (up, w2)
}
"""


@pytest.mark.parametrize("unpool", ["auto", "scatter", "portable"])
@pytest.mark.parametrize("select", ["seed", "pairs"])
def test_a_learned_decoder(select, unpool):
    model = network(DECODER)
    w1, w2 = (torch.tensor(onnx.numpy_helper.to_array(t)).double() for t in model.graph.initializer)
    x = spaced((2, 3, 12, 10))
    leaf = torch.tensor(x).double().requires_grad_()
    pooled, places = F.max_pool2d(F.conv2d(leaf, w1, padding=1), 2, return_indices=True)
    y = F.conv_transpose2d(F.max_unpool2d(F.relu(pooled), places, 2), w2, padding=1)
    position = None if select == "seed" else "all"
    made = artefact(model, "y", "gradient", select=select, unpool=unpool, position=position)
    if select == "seed":
        seed = spaced(tuple(y.shape), seed=1)
        found = run(made, x=x, seed=seed)["attribution"]
        (expected,) = torch.autograd.grad(y, leaf, torch.tensor(seed).double())
    else:
        image_index, channel = [1, 0, 1], [0, 3, 2]
        feeds = {"image_index": np.array(image_index), "channel": np.array(channel)}
        found = run(made, x=x, **feeds)["attribution"]
        expected = torch.stack([
            torch.autograd.grad(y[i, c].sum(), leaf, retain_graph=True)[0][i]
            for i, c in zip(image_index, channel, strict=True)
        ])  # fmt: skip
    assert relative_error(found, expected) < 1e-5
