"""ConvTranspose, forward: every way to say its padding and its output's size."""

import itertools

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from check_rule import check_rule, one_node, run, spaced

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedModel


def kernel(*shape):
    return spaced(shape, seed=3)


def transposed(size, *weights, channels=2, **attrs):
    check_rule("ConvTranspose", [(1, channels, *size)], weights=weights, linear=True, **attrs)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("pads", [(0, 0), (1, 1), (0, 2)], ids=str)
def test_1d(pads, dilation, stride):
    attrs = {"strides": [stride], "dilations": [dilation], "pads": pads}
    transposed((5,), kernel(2, 3, 3), kernel(3), **attrs)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)], ids=str)
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 0, 1), (1, 1, 1, 1)], ids=str)
def test_2d(pads, strides):
    transposed((3, 4), kernel(2, 3, 3, 2), strides=strides, pads=pads)


def test_3d():
    transposed((2, 3, 2), kernel(2, 2, 2, 3, 2), strides=[2, 1, 2], pads=[1, 0, 0, 0, 1, 1])


def test_the_kernel_may_be_shorter_than_the_stride():
    transposed((4,), kernel(2, 1, 1), strides=[3])
    transposed((4,), kernel(2, 1, 2), strides=[3], output_padding=[2])


@pytest.mark.parametrize("group", [1, 2, 4])
def test_groups(group):
    transposed((3, 2), kernel(4, 2, 3, 2), channels=4, group=group, strides=[2, 1])


def test_output_padding():
    for padding, stride in itertools.product((0, 1, 2), (3, 4)):
        transposed((4,), kernel(2, 1, 2), strides=[stride], pads=[1, 0], output_padding=[padding])


@pytest.mark.parametrize("variant", ["static", "unknown"])
def test_output_padding_as_long_as_the_stride(variant):
    """PyTorch allows it beside a dilation; ONNX Runtime only runs the backward part of it."""
    attrs = {"strides": [2], "dilations": [3], "output_padding": [2]}
    x, weight = spaced((1, 2, 4)), kernel(2, 1, 2)
    given = {"x": x}, {"w": weight}
    model = one_node("ConvTranspose", ["x", "w"], *given, variant, attrs=attrs)
    made = rewrite(model, "y", "gradient", Options(select="seed", keep_outputs=False))
    made = onnx.utils.Extractor(made).extract_model(["x", "seed"], ["attribution"])

    leaf = torch.tensor(x, requires_grad=True)
    y = F.conv_transpose1d(leaf, torch.tensor(weight), None, 2, 0, 2, 1, 3)
    seed = spaced(tuple(y.shape), seed=1)
    (expected,) = torch.autograd.grad(y, leaf, torch.tensor(seed))
    (got,) = run(made, {"x": x, "seed": seed}, "attribution")
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("shape", [(7, 8), (8, 9), (6, 7)], ids=str)
def test_output_shape(shape, auto_pad):
    attrs = {"strides": [2, 2], "output_shape": shape, "auto_pad": auto_pad}
    transposed((3, 4), kernel(2, 1, 4, 3), variants=["static"], **attrs)


def test_output_shape_needs_a_known_size():
    attrs = {"strides": [2], "output_shape": [7]}
    given = {"x": spaced((1, 2, 3))}, {"w": kernel(2, 1, 4)}
    model = one_node("ConvTranspose", ["x", "w"], *given, "unknown", attrs=attrs)
    assert "fixed sizes" in check(model, "y", "gradient").problem
    with pytest.raises(UnsupportedModel, match="ConvTranspose 'node'.*fixed sizes"):
        rewrite(model, "y", "gradient", Options(select="seed"))


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_auto_pad(stride, size, auto_pad):
    transposed((4,), kernel(2, 3, size), strides=[stride], auto_pad=auto_pad)


def test_float16():
    check_rule(
        "ConvTranspose", [(1, 2, 4, 3)], [kernel(2, 2, 3, 3)], dtype=np.float16, strides=[2, 2]
    )


@pytest.mark.parametrize("wrt", [1, 2])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize(
    ("strides", "output_padding"), [((1, 1), (0, 0)), ((2, 3), (1, 2))], ids=str
)
@pytest.mark.parametrize("dilations", [(1, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 2, 1)], ids=str)
def test_computed_parameters(pads, dilations, strides, output_padding, group, wrt):
    check_rule("ConvTranspose", [(3, 4, 5, 4), (4, 6 // group, 3, 2), (6,)], wrt=wrt, linear=True,
               kernel_shape=(3, 2), strides=strides, dilations=dilations, pads=pads, group=group,
               output_padding=output_padding)  # fmt: skip
