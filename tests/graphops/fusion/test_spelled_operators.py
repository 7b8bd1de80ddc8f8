"""An operator and what exporters write instead of it give the same map by every method."""

import numpy as np
import onnx
import pytest
import torch
from artefacts import artefact, images, network, run
from oracle import relative_error
from torch import nn

from onnxplain.graphops import METHODS, check

WALKED = ("gradient", "deconvnet", "guided_backprop", "deeplift", "excitation_backprop")
WALKS = [name for name in METHODS if name.startswith("lrp") or name in WALKED]

# Between two convolutions, from a [N, 6, H, W] to b: the operator, and spellings of it.
SAME = {
    "LayerNormalization": [
        "t = Transpose <perm = [0, 2, 3, 1]> (a) l = LayerNormalization <epsilon = 1e-6> (t, s, o) "
        "b = Transpose <perm = [0, 3, 1, 2]> (l)",
        """t = Transpose <perm = [0, 2, 3, 1]> (a) m = ReduceMean <axes = [-1]> (t) d = Sub (t, m)
        q = Pow (d, two) v = ReduceMean <axes = [-1]> (q) w = Add (v, eps) r = Sqrt (w)
        z = Div (d, r) k = Mul (z, s) l = Add (k, o) b = Transpose <perm = [0, 3, 1, 2]> (l)""",
        """t = Transpose <perm = [0, 2, 3, 1]> (a) m = ReduceMean <axes = [3]> (t) d = Sub (t, m)
        e = Sub (t, m) q = Mul (e, e) v = ReduceMean <axes = [3]> (q) w = Add (eps, v) r = Sqrt (w)
        i = Reciprocal (r) z = Mul (i, d) k = Mul (s, z) l = Add (o, k)
        b = Transpose <perm = [0, 3, 1, 2]> (l)""",
        """m = ReduceMean <axes = [1]> (a) d = Sub (a, m) q = Mul (d, d)
        v = ReduceMean <axes = [1]> (q) w = Add (v, eps) r = Pow (w, half) z = Div (d, r)
        k = Mul (z, sc) b = Add (k, oc)""",
        """m = ReduceMean <axes = [1]> (a) d = Sub (a, m) q = Mul (d, d)
        v = ReduceMean <axes = [1]> (q) w = Add (v, eps) r = Sqrt (w) i = Div (one, r)
        z = Mul (d, i) k = Mul (z, sc) b = Add (k, oc)""",
    ],
    "InstanceNormalization": [
        "b = InstanceNormalization <epsilon = 1e-6> (a, s, o)",
        """m = ReduceMean <axes = [2, 3]> (a) d = Sub (a, m) q = Mul (d, d)
        v = ReduceMean <axes = [2, 3]> (q) w = Add (v, eps) r = Sqrt (w) z = Div (d, r)
        k = Mul (z, sc) b = Add (k, oc)""",
    ],
    "BatchNormalization": [
        "b = BatchNormalization <epsilon = 0.0> (a, s, o, none, ones)",
        "k = Mul (a, sc) b = Add (k, oc)",
        "k = Mul (sc, a) i = Identity (k) b = Add (oc, i)",
        "n = Neg (oc) i = Reciprocal (sc) k = Div (a, i) b = Sub (k, n)",
    ],
    "Identity": [
        "b = Relu (a)",
        "i = Identity (a) d = Dropout (i) b = Relu (d)",
    ],
    "pooling": [
        "p = GlobalAveragePool (a) b = Add (p, a)",
        "p = ReduceMean <axes = [2, 3]> (a) b = Add (p, a)",
        "p = ReduceMean <axes = [-1, -2]> (a) b = Add (a, p)",
    ],
}
CONSTANTS = {
    "s": [1.5, -0.7, 2.0, 0.4, -1.2, 0.9], "o": [0.3, -0.2, 0.1, 0.5, -0.4, 0.2],
    "one": 1.0, "half": 0.5, "two": 2.0, "eps": 1e-6, "none": np.zeros(6), "ones": np.ones(6),
}  # fmt: skip


def between(body):
    """Return Conv, the text's nodes from a to b, Relu, Conv."""
    text = f"""<ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, 7, 8] x, float[6, 3, 3, 3] w1, float[6] b1, float[4, 6, 3, 3] w2)
        => (float[N, 4, 5, 6] y)
    {{ a = Conv <pads = [1, 1, 1, 1]> (x, w1, b1) {body} g = Relu (b) y = Conv (g, w2) }}"""
    model = onnx.parser.parse_model(text)
    per_channel = {n + "c": np.reshape(CONSTANTS[n], (6, 1, 1)) for n in ("s", "o")}
    for name, value in (CONSTANTS | per_channel).items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(value), name))
    rng = np.random.default_rng(0)
    for value in [v for v in model.graph.input if v.name != "x"]:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        weight = (rng.standard_normal(shape) / 3).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, value.name))
        model.graph.input.remove(value)
    onnx.checker.check_model(model, full_check=True)
    return model


def attribution(model, method, **options):
    bounds = {"low": (-4.0,), "high": (4.0,)} if "box" in method else {}
    x = images(2, (7, 8))
    made = artefact(model, "y", method, **bounds, **options)
    return run(made, x=x, channel=np.array([1, 3]))["attribution"]


@pytest.mark.parametrize("method", WALKS)
@pytest.mark.parametrize("operator", SAME)
def test_the_same_map_however_it_is_spelled(operator, method):
    expected, *others = (attribution(between(body), method) for body in SAME[operator])
    assert np.abs(expected).max() > 0
    for found in others:
        assert relative_error(found, expected) < 1e-4


@pytest.mark.parametrize("operator", ["InstanceNormalization", "LayerNormalization"])
def test_one_node_of_the_report(operator):
    for body in SAME[operator]:
        for method in ("gradient", "lrp_epsilon"):
            nodes = [n.operator for n in check(between(body), "y", method).nodes]
            assert [n for n in nodes if n != "Transpose"] == ["Conv", operator, "Relu", "Conv"]


GROUPS = """
<ir_version: 10, opset_import: ["": 21]>
net (float[N, 6, 5, 4] a) => (float[N, 6, 5, 4] y)
<float[6] s = {1.5, -0.7, 2, 0.4, -1.2, 0.9}, float[6] o = {0.3, -0.2, 0.1, 0.5, -0.4, 0.2},
 float[6, 1, 1] sc = {1.5, -0.7, 2, 0.4, -1.2, 0.9},
 float[6, 1, 1] oc = {0.3, -0.2, 0.1, 0.5, -0.4, 0.2}, float[3] i = {1, 1, 1},
 float[3] z = {0, 0, 0}, int64[3] groups = {0, 3, -1}>
{ BODY }
"""
GROUPED = "y = GroupNormalization <num_groups = 3> (a, s, o)"
RESHAPED = """h = Shape (a) r = Reshape (a, groups) n = InstanceNormalization (r, i, z)
              b = Reshape (n, h) k = Mul (b, sc) y = Add (k, oc)"""


@pytest.mark.parametrize("method", WALKS)
def test_group_normalization_spelled_as_instance_normalization(method):
    if "box" in method:
        return
    a = np.random.default_rng(0).standard_normal((2, 6, 5, 4)).astype(np.float32)
    seed = np.random.default_rng(1).standard_normal((2, 6, 5, 4)).astype(np.float32)
    found, expected = (
        run(artefact(network(GROUPS.replace("BODY", body), ("a",)), "y", method, select="seed"),
            a=a, seed=seed)["attribution"]
        for body in (RESHAPED, GROUPED)
    )  # fmt: skip
    assert relative_error(found, expected) < 1e-5


PADDED = [
    "a = Conv <pads = [1, 2, 3, 0], strides = [2, 1]> (x, w, b)",
    "p = Pad (x, both) a = Conv <strides = [2, 1]> (p, w, b)",
    "p = Pad (x, both, zero) a = Conv <strides = [2, 1], auto_pad = \"VALID\"> (p, w, b)",
    "p = Pad (x, some, zero, last) a = Conv <strides = [2, 1], pads = [1, 1, 2, 0]> (p, w, b)",
]  # fmt: skip


@pytest.mark.parametrize("method", WALKS)
def test_a_pad_before_a_convolution_is_its_own_padding(method):
    found = []
    for body in PADDED:
        text = f"""<ir_version: 8, opset_import: ["": 18]>
        net (float[N, 3, 7, 8] x, float[6, 3, 3, 3] w, float[6] b, float[4, 6, 3, 3] v)
            => (float[N, 4, H, W] y)
        <int64[8] both = {{0, 0, 1, 2, 0, 0, 3, 0}}, int64[4] some = {{1, 0, 0, 1}},
         int64[2] last = {{-1, 2}}, float zero = {{0}}>
        {{ {body} r = Relu (a) y = Conv (r, v) }}"""
        found.append(attribution(network(text), method))
    assert np.abs(found[0]).max() > 0
    for other in found[1:]:
        assert relative_error(other, found[0]) < 1e-5


@pytest.mark.parametrize("fill", ["one", "reflect"])
def test_a_pad_with_other_values_stays(fill):
    pad = 'Pad <mode = "reflect"> (x, both)' if fill == "reflect" else "Pad (x, both, one)"
    model = network(f"""<ir_version: 8, opset_import: ["": 18]>
    net (float[N, 3, 7, 8] x, float[6, 3, 3, 3] w) => (float[N, 6, 7, 8] y)
    <int64[8] both = {{0, 0, 1, 1, 0, 0, 1, 1}}, float one = {{1}}>
    {{ p = {pad} y = Conv (p, w) }}""")
    assert [n.operator for n in check(model, "y", "lrp").nodes] == ["Pad", "Conv"]


def test_gradients_of_groups_are_autograds():
    """What a group is differentiated as, in float64's precision."""
    torch.manual_seed(0)
    x = torch.tensor(images(2, (7, 8))).double().requires_grad_()
    for body, norm in (
        (SAME["LayerNormalization"][3], lambda a, s, o: nn.functional.layer_norm(
            a.permute(0, 2, 3, 1), (6,), s, o, 1e-6).permute(0, 3, 1, 2)),
        (SAME["InstanceNormalization"][1], lambda a, s, o: nn.functional.instance_norm(
            a, weight=s, bias=o, eps=1e-6)),
    ):  # fmt: skip
        model = between(body)
        w = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)).double()
             for t in model.graph.initializer}  # fmt: skip
        a = nn.functional.conv2d(x, w["w1"], w["b1"], padding=1)
        y = nn.functional.conv2d(norm(a, w["s"], w["o"]).relu(), w["w2"])
        (exact,) = torch.autograd.grad(y[0, 1].sum() + y[1, 3].sum(), x)
        assert relative_error(attribution(model, "gradient", position="all"), exact) < 1e-4
