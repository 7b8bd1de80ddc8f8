"""Resize in every mode, and the operators that trade depth for space."""

import numpy as np
import pytest
import torch.nn.functional as F
from check_rule import check_rule, one_node, spaced

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedOperator

IMAGE = (1, 2, 4, 5)
MODES = ["nearest", "linear", "cubic"]
COORDINATES = [
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
]  # fmt: skip


def scales(*values):
    return [None, np.array(values, np.float32)]


def sizes(*values):
    return [None, None, np.array(values, np.int64)]


def resized(shape, weights, opset=19, **attrs):
    check_rule("Resize", [shape], weights, opset=opset, fixed=["w0", "w1"], linear=True, **attrs)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "how",
    [scales(1, 1, 1.7, 2.3), scales(1, 1, 0.6, 3), sizes(1, 2, 7, 3), sizes(1, 2, 1, 10)],
    ids=["grow", "shrink and grow", "to sizes", "to one"],
)
def test_every_mode(how, mode, coordinates):
    resized(IMAGE, how, mode=mode, coordinate_transformation_mode=coordinates)


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
def test_nearest(coordinates, rounding):
    attrs = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    for how in (scales(1, 1, 2, 2), scales(1, 1, 0.5, 1.5), sizes(1, 2, 6, 7)):
        resized(IMAGE, how, mode="nearest", **attrs)


@pytest.mark.parametrize("exclude_outside", [0, 1])
@pytest.mark.parametrize("a", [-0.75, -0.5])
def test_cubic(a, exclude_outside):
    attrs = {"cubic_coeff_a": a, "exclude_outside": exclude_outside}
    for how in (scales(1, 1, 2, 1.6), sizes(1, 2, 3, 9)):
        resized(IMAGE, how, mode="cubic", **attrs)


@pytest.mark.parametrize("exclude_outside", [0, 1])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_antialias(mode, exclude_outside):
    for how in (scales(1, 1, 0.4, 0.6), sizes(1, 2, 3, 4), sizes(1, 2, 9, 12)):
        attrs = {"antialias": 1, "exclude_outside": exclude_outside}
        resized((1, 2, 8, 9), how, opset=18, mode=mode, **attrs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", [scales(1, 1, 1.5, 2), sizes(1, 2, 3, 6)], ids=["scales", "sizes"])
def test_crop_and_resize(how, mode):
    roi = np.array([0, 0, 0.2, -0.3, 1, 1, 0.9, 1.2], np.float32)
    attrs = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0}
    # Outside the input the value is 7 whatever x is, so y is affine, and differences are exact.
    resized(IMAGE, [roi, *how[1:]], mode=mode, **attrs)


@pytest.mark.parametrize("axes", [(2, 3), (3, 2), (-1,), (3,), (0, 1)], ids=str)
def test_axes(axes):
    factors, lengths = [1.5, 2.5][: len(axes)], [5, 3][: len(axes)]
    for how in (scales(*factors), sizes(*lengths)):
        resized((2, 2, 4, 5), how, opset=18, mode="nearest", axes=axes)
        if axes != (0, 1):  # which ONNX Runtime's other kernels do not know
            resized((2, 2, 4, 5), how, opset=18, mode="linear", axes=axes)


@pytest.mark.parametrize(
    ("shape", "how"),
    [
        ((2, 3, 6), scales(1, 1, 2.5)),
        ((2, 6), scales(1.5, 0.7)),
        ((6,), scales(2.5)),
        ((1, 4, 5, 2), scales(1, 1.5, 0.7, 1)),
        ((1, 2, 3, 4, 3), scales(1, 1, 1.5, 2, 0.7)),
        ((1, 2, 3, 4, 3), sizes(1, 2, 5, 2, 4)),
    ],
    ids=str,
)
def test_other_ranks(shape, how):
    resized(shape, how, mode="nearest")
    if len(shape) > 1:  # of which ONNX Runtime's other kernels do not know one
        resized(shape, how, mode="linear")


def test_an_axis_that_keeps_its_size_is_left_alone():
    scale = {"s": np.array([1, 1, 2, 1], np.float32)}
    model = one_node("Resize", ["x", "", "s"], {"x": spaced(IMAGE)}, scale)
    made = rewrite(model, "y", "gradient", Options(select="seed"))
    assert [n.op_type for n in made.graph.node].count("MatMul") == 1


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(7, 3), (8, 10)], ids=str)
def test_as_pytorch_does(size, mode, align_corners):
    def same(x):
        return F.interpolate(x, size, mode=mode, align_corners=align_corners)

    attrs = {
        "mode": {"bilinear": "linear", "bicubic": "cubic"}[mode],
        "coordinate_transformation_mode": "align_corners" if align_corners else "half_pixel",
    }
    check_rule("Resize", [(2, 2, 4, 5)], sizes(2, 2, *size), oracle=same, **attrs)


def test_nearest_as_pytorch_does():
    attrs = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    for size in ((8, 10), (3, 7)):
        check_rule("Resize", [(2, 2, 4, 5)], sizes(2, 2, *size), mode="nearest",
                   oracle=lambda x, size=size: F.interpolate(x, size), **attrs)  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_resize_float16(mode):
    check_rule("Resize", [IMAGE], scales(1, 1, 2, 1.5), dtype=np.float16, fixed=["w1"], mode=mode)


def test_resize_that_keeps_the_aspect_ratio_is_refused():
    names, size = ["x", "", "", "s"], {"s": np.array([1, 2, 8, 8])}
    attrs = {"keep_aspect_ratio_policy": "not_larger"}
    model = one_node("Resize", names, {"x": spaced(IMAGE)}, size, opset=18, attrs=attrs)
    assert not check(model, "y", "gradient").ok
    with pytest.raises(UnsupportedOperator, match="Resize 'node' keeps the aspect ratio.*export"):
        rewrite(model, "y", "gradient", Options(select="seed"))


@pytest.mark.parametrize("mode", ["DCR", "CRD", None])
@pytest.mark.parametrize("block", [1, 2, 3])
def test_depth_to_space(block, mode):
    attrs = {} if mode is None else {"mode": mode}
    check_rule("DepthToSpace", [(2, 2 * block**2, 2, 3)], linear=True, blocksize=block, **attrs)


@pytest.mark.parametrize("block", [1, 2, 3])
def test_space_to_depth(block):
    check_rule("SpaceToDepth", [(2, 2, 2 * block, 3 * block)], linear=True, blocksize=block)


def test_pixel_shuffle_of_pytorch():
    check_rule("DepthToSpace", [(2, 8, 2, 3)], oracle=lambda x: F.pixel_shuffle(x, 2), blocksize=2,
               mode="CRD")  # fmt: skip
