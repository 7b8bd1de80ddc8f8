"""Receptive fields: those of the literature, and those that pixels which are no number show.

In PyTorch, a pixel that is not a number makes every unit that sees it none, through any operator.
"""

from functools import cache

import numpy as np
import onnx
import pytest
import torch
from artefacts import run, session
from nets import FAMILIES, SIZE, build, export
from onnx import helper

from onnxplain.graphops import layers


def stack(*windows):
    """Return a net of (operator, kernel, stride, pad), `same` for SAME_UPPER, on any image."""
    nodes, weights, x = [], [], "x"
    for i, (operator, kernel, stride, pad) in enumerate(windows):
        attrs = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
        attrs |= {"auto_pad": "SAME_UPPER"} if pad == "same" else {"pads": [pad] * 4}
        inputs = [x]
        if operator == "Conv":
            weights.append(
                onnx.numpy_helper.from_array(np.ones((1, 1, kernel, kernel), "f"), f"w{i}")
            )
            inputs.append(f"w{i}")
        x = f"t{i}"
        nodes.append(helper.make_node(operator, inputs, [x], **attrs))
    size = onnx.TensorProto.FLOAT, [None, 1, None, None]
    graph = helper.make_graph(
        nodes, "stack", [helper.make_tensor_value_info("x", *size)],
        [helper.make_tensor_value_info(x, *size)], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


THREE, HALVE = ("Conv", 3, 1, 1), ("MaxPool", 2, 2, 0)
POOL = ("MaxPool", 3, 2, 0)


# Size, stride and padding from the table of Araujo, Norris and Sim 2019.
@pytest.mark.parametrize(
    ("windows", "size", "stride", "padding"),
    [
        (
            [("Conv", 11, 4, 0), POOL, ("Conv", 5, 1, 2), POOL, THREE, THREE, THREE, POOL],
            195, 32, 64,
        ),
        ([*[THREE, THREE, HALVE] * 2, *[THREE, THREE, THREE, HALVE] * 3], 212, 32, 90),
    ],
    ids=["alexnet", "vgg16"],
)  # fmt: skip
def test_those_of_the_literature(windows, size, stride, padding):
    last = layers(stack(*windows))[-1]
    assert last.receptive_field == (size, size)
    assert last.stride == (stride, stride)
    assert last.offset == (-padding, -padding)


def test_same_padding_of_an_unknown_size():
    """With stride 1 it is known, with another it depends on the size."""
    first, second, third = layers(stack(*[("Conv", 3, s, "same") for s in (1, 2, 1)]))[1:]
    assert (first.receptive_field, first.offset) == ((3, 3), (-1, -1))
    assert (second.receptive_field, second.stride, second.offset) == ((5, 5), (2, 2), (None, None))
    assert (third.receptive_field, third.offset) == ((9, 9), (None, None))


# By pixels that are no number.


def spoilt(sizes, axis):
    """Return one image for each pixel along an axis: not a number wherever it has that one."""
    x = np.random.default_rng(0).uniform(0.5, 1, (sizes[axis], 3, *sizes)).astype(np.float32)
    for i, image in enumerate(x):
        np.moveaxis(image, axis + 1, 0)[i] = np.nan
    return x


def seen_along(y, axis):
    """Return [positions, pixels]: which positions of the axis each image's pixel has spoilt."""
    return np.isnan(y).any(tuple(i for i in range(1, y.ndim) if i != axis)).T


def check(seen, layer, sizes, copies=False):
    """Compare [positions, pixels] of each axis of the input with what the layer says.

    copies: the padding is copied from inside, so that only what lies whole on the image counts.
    """
    for i, by_position in enumerate(seen):
        size, stride, offset = (t[i] for t in (layer.receptive_field, layer.stride, layer.offset))
        pixels, whole = np.arange(sizes[i]), 0
        for position, sees in enumerate(by_position):
            first = offset + position * stride
            context = f"{layer.tensor}, axis {i}, position {position}: {np.flatnonzero(sees)}"
            inside = first >= 0 and first + size <= sizes[i]
            if inside or not copies:
                assert not sees[(pixels < first) | (pixels >= first + size)].any(), context
            if inside:
                assert sees[first] and sees[first + size - 1], context
                whole += 1
        assert whole or size > sizes[i] // 2, f"{layer.tensor} never lies whole on the image"


@cache
def seen_by_modules(family):
    """Return by module what its positions see: [positions, pixels] along height and width."""
    net, found = build(family), {}
    names = [n for n, m in net.named_modules() if not any(m.children())]
    for axis in range(2):
        handles = [
            net.get_submodule(name).register_forward_hook(
                lambda m, i, y, name=name: found.setdefault(name, []).append(y.numpy())
            )
            for name in names
        ]
        with torch.no_grad():
            net(torch.from_numpy(spoilt(SIZE, axis)))
        for handle in handles:
            handle.remove()
    return {
        name: [seen_along(y, 2 + axis) for axis, y in enumerate(ys)]
        for name, ys in found.items()
        if ys[0].ndim == 4
    }


@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "static"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family, dynamic):
    """To the pixel, at every position of every module that does not see all."""
    model = export(family, dynamic=dynamic, keep_batch_norm=True)
    known = {layer.module: layer for layer in layers(model)}
    compared = 0
    for name, seen in seen_by_modules(family).items():
        layer = known.get(name)
        if layer is None:
            continue
        if layer.receptive_field is None:
            assert all(by_position.all() for by_position in seen), f"{name} does not see all"
        elif None not in layer.offset:
            check(seen, layer, SIZE)
            compared += 1
    assert compared >= 6


# What nets are built of besides. The image is x, 20 pixels high and 18 wide; the layer is y.
IMAGE = (20, 18)
PARTS = {
    "branches": """
        a = Conv <pads = [1, 1, 1, 1]> (x, w3)
        b = Conv <pads = [3, 0, 3, 0], dilations = [3, 1]> (x, v31)
        y = Concat <axis = 1> (a, b)""",
    "branches that lie differently": """
        a = Conv <strides = [2, 2], pads = [1, 1, 0, 0]> (x, w3)
        b = Conv <strides = [2, 2]> (x, w2)
        y = Add (a, b)""",
    "a plain shortcut": "a = Conv <pads = [2, 2, 2, 2]> (x, w5)  y = Add (x, a)",
    "channels last": """
        t = Transpose <perm = [0, 2, 3, 1]> (x)  s = Mul (t, weight)
        u = Transpose <perm = [0, 3, 1, 2]> (s)  y = Conv <strides = [2, 1]> (u, w3)""",
    "shuffled channels": """
        g = Reshape (x, groups)  t = Transpose <perm = [0, 2, 1, 3, 4]> (g)  r = Reshape (t, back)
        y = Conv <strides = [2, 2]> (r, w3)""",
    "a slice of every second": """
        a = Slice (x, from0, far, both, twos)  b = Slice (x, from1, far, both, twos)
        c = Concat <axis = 1> (a, b)  y = Conv (c, w6)""",
    "padding": "p = Pad (x, pads)  y = Conv <strides = [2, 2]> (p, w3)",
    "cropping": "p = Slice (x, from1, before, both)  y = Conv (p, w3)",
    "parts of the channels": "a, b, c = Split <axis = 1> (x)  y = Conv <strides = [3, 1]> (b, w1)",
    "a picked channel": "a = Gather <axis = 1> (x, two)  u = Unsqueeze (a, one)  y = Conv (u, w1)",
    "a picked channel, kept": "a = Gather <axis = 1> (x, one)  y = Conv (a, w1)",
    "space to depth": "s = SpaceToDepth <blocksize = 2> (x)  y = Conv (s, w12)",
    "a transposed convolution": "y = ConvTranspose <pads = [1, 0, 1, 0], dilations = [2, 1]>"
    " (x, t33)",
    "a norm of channels": """
        t = Transpose <perm = [0, 2, 3, 1]> (x)  s = LayerNormalization (t, weight)
        u = Transpose <perm = [0, 3, 1, 2]> (s)  y = Conv (u, w3)""",
    "local response": "n = LRN <size = 3> (x)  y = Conv (n, w3)",
    "a dense layer at each position": """
        t = Transpose <perm = [0, 2, 3, 1]> (x)  d = MatMul (t, dense)
        u = Transpose <perm = [0, 3, 1, 2]> (d)  y = AveragePool <kernel_shape = [2, 3]> (u)""",
    "a softmax of channels": "s = Softmax <axis = 1> (x)  y = Conv (s, w3)",
    "a mean of channels": "m = ReduceMean <axes = [1], keepdims = 1> (x)  y = Mul (x, m)",
    "a mean without its axis": """
        m = ReduceMean <axes = [1], keepdims = 0> (x)  u = Unsqueeze (m, one)  y = Conv (u, w1)""",
    "an upsampling of nothing": "r = Resize (x, none, scales)  y = Conv (r, w3)",
}  # fmt: skip
TEXT = """
<ir_version: 8, opset_import: ["": 17]>
parts (float[N, 3, 20, 18] x) => (float[N, P, Q, R] y)
<int64[5] groups = {{0, 3, 1, 20, 18}}, int64[4] back = {{0, 3, 20, 18}}, int64[2] from0 = {{0, 1}},
 int64[2] from1 = {{1, 0}}, int64[2] far = {{99, 99}}, int64[2] both = {{2, 3}},
 int64[2] twos = {{2, 2}},
 int64[2] before = {{-1, -3}}, int64[8] pads = {{0, 0, 2, 1, 0, 0, 0, 3}}, int64 two = {{2}},
 int64[1] one = {{1}}, float[4] scales = {{1, 1, 1, 1}}, float[0] none = {{}}>
{{ {} }}
"""
WEIGHTS = {
    "w1": (2, 1, 2, 3), "w2": (2, 3, 2, 2), "w3": (2, 3, 3, 3), "w5": (3, 3, 5, 5), "w6": (2, 6,
    2, 1),
    "w12": (2, 12, 2, 2), "v31": (2, 3, 3, 1), "t33": (3, 2, 3, 2), "weight": (3,), "dense": (3, 4),
}  # fmt: skip


def part(body):
    model = onnx.parser.parse_model(TEXT.format(body))
    ones = {name: np.ones(shape, np.float32) for name, shape in WEIGHTS.items()}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(v, n) for n, v in ones.items())
    return model


@pytest.mark.parametrize("name", PARTS)
def test_what_nets_are_built_of(name):
    model = part(PARTS[name])
    opened = session(model)
    seen = [seen_along(run(opened, x=spoilt(IMAGE, axis))["y"], 2 + axis) for axis in range(2)]
    check(seen, layers(model)[-1], IMAGE)


def test_padding_by_copies():
    model = part('p = Pad <mode = "edge"> (x, pads)  y = Conv (p, w3)')
    seen = [seen_along(run(model, x=spoilt(IMAGE, axis))["y"], 2 + axis) for axis in range(2)]
    check(seen, layers(model)[-1], IMAGE, copies=True)


@pytest.mark.parametrize(
    "body",
    [
        "a = GlobalAveragePool (x)  y = Mul (x, a)",
        "y = InstanceNormalization (x, weight, weight)",
        "y = MatMul (x, square)",
    ],
)
def test_a_layer_that_sees_all_of_an_axis_has_none(body):
    model = part(body)
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.ones((18, 18), np.float32), "square")
    )
    found = layers(model)[-1].receptive_field
    opened = session(model)
    for axis in range(2):
        seen = seen_along(run(opened, x=spoilt(IMAGE, axis))["y"], 2 + axis)
        assert seen.all() == (found is None or found[axis] is None)


def test_where_no_whole_numbers_say_it():
    """Behind an upsampling, and where branches of other strides meet."""
    up = "s = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w3)  y = Resize (s, none, doubled)"
    model = part(up)
    doubled = np.array([1, 1, 2, 2], np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(doubled, "doubled"))
    assert [layer.receptive_field for layer in layers(model)] == [(1, 1), (3, 3), None]


def test_an_axis_that_is_turned_round_is_kept_as_one_without_a_number():
    """The height of a flipped picture is not followed; the width is still the second number."""
    model = onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 1, 20, 20] x, float[1, 1, 3, 5] w) => (float[N, 1, H, W] y)
    <int64[1] start = {-1}, int64[1] end = {-9223372036854775807}, int64[1] axis = {2},
     int64[1] step = {-1}, float[1, 1, 3, 5] w = {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}>
    { f = Slice (x, start, end, axis, step) y = Conv <strides = [2, 4]> (f, w) }
    """)
    found = {layer.tensor: layer for layer in layers(model)}
    assert found["x"].receptive_field == (1, 1)
    assert (found["y"].receptive_field, found["y"].stride) == ((None, 5), (None, 4))
