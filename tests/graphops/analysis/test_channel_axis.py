"""Channel axes that depend on who made a tensor, and bounds that come through other operators."""

import numpy as np
import onnx
from check_rule import run

from onnxplain.graphops import Options, check, layers, rewrite


def parsed(header, body):
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {header} {{ {body} }}')


def test_sequences_count_their_units_last_and_convolutions_theirs_second():
    model = parsed(
        "net (float[N, 2, 9] x, float[N, 7, 5] s) => (float[N, 3, 4] y, float[N, 7, 6] z) "
        "<float[3, 2, 2] w = {1,1,1,1,1,1,1,1,1,1,1,1}, float[5, 6] m = {"
        + ",".join(["1"] * 30)
        + "}>",
        "c = Conv (x, w) r = Relu (c) d = Add (r, r)"
        " y = MaxPool <kernel_shape = [2], strides = [2]>"
        " (d) t = MatMul (s, m) z = Relu (t)",
    )
    axes = {layer.tensor: (layer.channel_axis, layer.channels) for layer in layers(model)}
    assert axes == {
        **{"x": (1, 2), "c": (1, 3), "r": (1, 3), "d": (1, 3), "y": (1, 3)},
        **{"s": (2, 5), "t": (2, 6), "z": (2, 6)},
    }


def test_bounds_that_come_through_a_cast_make_a_rectifier():
    """As PyTorch writes clamp(0, 6) where constants are not folded."""
    model = parsed(
        "net (float[N, 4] x) => (float[N, 4] y) <double lo = {0}, double hi = {6}>",
        "l = Cast <to = 1> (lo) h = Identity (hi) k = Cast <to = 1> (h) y = Clip (x, l, k)",
    )
    (node,) = check(model, "y", "deconvnet").nodes
    assert (node.operator, node.rule) == ("Clip", "exact")
    artefact = rewrite(model, "y", "deconvnet", Options(select="seed"))
    x = np.array([[-1, 7, 2, 3]], np.float32)
    seed = np.array([[1, 2, -3, 4]], np.float32)
    (got,) = run(artefact, {"x": x, "seed": seed}, "attribution")
    np.testing.assert_array_equal(got, [[1, 2, 0, 4]])
