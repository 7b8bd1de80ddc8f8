"""Convolution: every combination of the attributes that real networks have, with odd remainders.

Dilation beside SAME padding is left out: ONNX Runtime refuses it.
"""

import itertools

import numpy as np
import onnx
import pytest
from check_rule import check_rule, run, spaced

from onnxplain.graphops import Options, rewrite


def kernel(*shape):
    return spaced(shape, seed=3)


@pytest.mark.parametrize("pads", [(0, 0), (1, 1), (0, 2), (2, 1)], ids=str)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_1d(dilation, stride, pads):
    attrs = {"strides": [stride], "dilations": [dilation], "pads": pads}
    check_rule("Conv", [(2, 2, 10)], weights=[kernel(3, 2, 3)], **attrs)


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (1, 0, 2, 1), (0, 2, 0, 2)], ids=str)
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("size", [(7, 6), (8, 9)], ids=str)
def test_2d(size, strides, pads):
    attrs = {"strides": strides, "pads": pads}
    check_rule("Conv", [(1, 2, *size)], weights=[kernel(2, 2, 3, 2), kernel(2)], **attrs)


@pytest.mark.parametrize("size", range(5, 12))
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_remainders_that_no_window_reaches(stride, size):
    attrs = {"strides": [stride, 1], "pads": [1, 0, 1, 0]}
    check_rule("Conv", [(1, 1, size, 3)], weights=[kernel(2, 1, 3, 2)], **attrs)


@pytest.mark.parametrize("wrt", [1, 2])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("dilations", [(1, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 2, 3)], ids=str)
def test_a_weight_and_a_bias_that_the_network_computes(pads, strides, dilations, group, wrt):
    check_rule("Conv", [(3, 4, 8, 9), (6, 4 // group, 3, 2), (6,)], wrt=wrt, linear=True,
               kernel_shape=(3, 2), strides=strides, dilations=dilations, pads=pads,
               group=group)  # fmt: skip


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)], ids=str)
def test_a_computed_weight_where_the_sizes_say_how_to_pad(strides, auto_pad):
    check_rule("Conv", [(2, 3, 8, 7), (4, 3, 3, 2)], wrt=1, linear=True, kernel_shape=(3, 2),
               strides=strides, auto_pad=auto_pad)  # fmt: skip


def test_a_computed_weight_in_one_and_in_three_dimensions():
    check_rule("Conv", [(2, 3, 9), (4, 3, 2)], wrt=1, linear=True, kernel_shape=[2], strides=[2])
    check_rule("Conv", [(2, 2, 5, 4, 6), (3, 2, 2, 1, 3)], wrt=1, linear=True,
               kernel_shape=(2, 1, 3), strides=(1, 2, 2), pads=(1, 0, 0, 0, 1, 2))  # fmt: skip


@pytest.mark.parametrize("stride", [2, 3])
def test_kernel_smaller_than_the_stride(stride):
    check_rule("Conv", [(1, 2, 8, 7)], weights=[kernel(3, 2, 1, 1)], strides=[stride, stride])


@pytest.mark.parametrize("dilations", [(2, 2), (3, 1), (1, 2)], ids=str)
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 2)], ids=str)
def test_dilation(strides, dilations):
    attrs = {"strides": strides, "dilations": dilations, "pads": [2, 1, 1, 2]}
    check_rule("Conv", [(1, 1, 9, 8)], weights=[kernel(2, 1, 3, 3)], **attrs)


@pytest.mark.parametrize(
    ("channels", "filters", "groups"), [(4, 6, 2), (3, 3, 3), (3, 6, 3), (4, 2, 2)], ids=str
)
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)], ids=str)
def test_groups(strides, channels, filters, groups):
    weights = [kernel(filters, channels // groups, 3, 2)]
    attrs = {"strides": strides, "group": groups, "pads": [1, 1, 1, 1]}
    check_rule("Conv", [(2, channels, 6, 5)], weights=weights, **attrs)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("size", [(7, 8), (9, 6), (5, 5)], ids=str)
@pytest.mark.parametrize(
    ("window", "strides"),
    [((3, 3), (1, 1)), ((3, 3), (2, 2)), ((2, 4), (1, 1)), ((2, 4), (3, 2)), ((1, 1), (2, 2))],
    ids=str,
)
def test_auto_pad(window, strides, size, auto_pad):
    attrs = {"auto_pad": auto_pad, "strides": strides}
    check_rule("Conv", [(1, 1, *size)], weights=[kernel(2, 1, *window)], **attrs)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("stride", [1, 2])
def test_auto_pad_in_one_dimension(stride, auto_pad):
    for size in (6, 7):
        attrs = {"auto_pad": auto_pad, "strides": [stride]}
        check_rule("Conv", [(2, 1, size)], weights=[kernel(2, 1, 4)], **attrs)


def test_padding_wider_than_the_kernel():
    check_rule("Conv", [(1, 1, 4, 5)], weights=[kernel(2, 1, 2, 2)], pads=[3, 3, 3, 3])
    check_rule(
        "Conv", [(1, 1, 4, 5)], weights=[kernel(2, 1, 2, 2)], pads=[3, 2, 3, 3], strides=[2, 3]
    )


def test_3d():
    attrs = {"strides": [2, 1, 1], "pads": [1, 0, 1, 1, 1, 0]}
    check_rule("Conv", [(1, 2, 4, 3, 3)], weights=[kernel(2, 2, 2, 2, 2)], **attrs)


def test_kernel_shape_said_and_unsaid():
    weights = [kernel(2, 1, 3, 2)]
    check_rule("Conv", [(1, 1, 5, 4)], weights=weights, kernel_shape=[3, 2])
    check_rule("Conv", [(1, 1, 5, 4)], weights=weights)


@pytest.mark.parametrize("opset", [22, 26])
def test_float16(opset):
    weights = [kernel(2, 2, 3, 3)]
    check_rule(
        "Conv", [(1, 2, 6, 7)], weights=weights, opset=opset, dtype=np.float16, strides=[2, 2]
    )


WAYS = {
    "named twice": "w = Identity (stored)",
    "a constant node": "w = Constant <value = float[1, 1, 2, 2] {1.0, 2.0, -3.0, 4.0}> ()",
    "turned": "w = Transpose <perm = [1, 0, 3, 2]> (stored)",
    "narrow": "narrow = Cast <to = 10> (stored)  w = Cast <to = 1> (narrow)",
    "quantized": "w = DequantizeLinear (bytes, scale)",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_weights_that_come_by_detours(way):
    """The transposed convolution reads what the convolution itself reads."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> '
        f"net (float[N, 1, H, W] x) => (float[N, 1, P, Q] y) {{ {way}  y = Conv (x, w) }}"
    )
    stored = np.array([1, 2, -3, 4], np.float32).reshape(1, 1, 2, 2)
    for name, value in {
        "stored": stored,
        "bytes": stored.astype(np.int8),
        "scale": np.array(0.5, np.float32),
    }.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    artefact = rewrite(model, "y", "gradient", Options(select="seed", lowering="plain"))
    onnx.checker.check_model(artefact, full_check=True)
    nodes = {n.op_type: n for n in artefact.graph.node}
    assert nodes["ConvTranspose"].input[1] == nodes["Conv"].input[1]
    seed = np.zeros((1, 1, 3, 3), np.float32)
    seed[0, 0, 1, 1] = 2
    x = spaced((1, 1, 4, 4))
    (got,) = run(artefact, {"x": x, "seed": seed}, "attribution")
    expected = stored.transpose(1, 0, 3, 2) if "Transpose" in way else stored
    expected = expected / 2 if "Dequantize" in way else expected
    np.testing.assert_allclose(got[0, 0, 1:3, 1:3], 2 * expected[0, 0])
    assert np.count_nonzero(got) == 4


def test_every_pair_of_stride_and_dilation():
    for stride, dilation, size in itertools.product((1, 2, 3, 4), (1, 2, 3), (9, 10)):
        attrs = {"strides": [stride], "dilations": [dilation], "pads": [1, 1]}
        check_rule("Conv", [(1, 1, size)], weights=[kernel(1, 1, 3)], **attrs)
