"""The three methods by hand, on numbers small enough to follow, and what the preflight says."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
from artefacts import RECTIFIED, SMALL, artefact, network, run

from onnxplain.graphops import check, rewrite
from onnxplain.graphops.errors import UnknownMethod, UnsupportedOperator
from onnxplain.graphops.options import Options

TINY = """
<ir_version: 8, opset_import: ["": 17]>
tiny (float[N, 1, 1, 4] x) => (float[N, 1, 1, 4] y)
<float[2, 1, 1, 1] w1 = {1, -2}, float[2] b1 = {0, 2}, float[1, 2, 1, 1] w2 = {1, -1}>
{ h = Conv (x, w1, b1) r = Relu (h) y = Conv (r, w2) }
"""


def one_row(values):
    return np.array(values, np.float32).reshape(1, 1, 1, -1)


# x = [-1, 0, 1, 3]. The two channels of h are x and 2 - 2x: [-1, 0, 1, 3] and [4, 2, 0, -4].
# The signal R = [-1, 2, -3, 4] at y arrives at the rectifier as R and -R. There the method acts:
#
#                      at the first channel    at the second        back to x: first - 2 * second
#   gradient           [ 0, 0, -3, 4]          [1, -2, 0, 0]        [-2, 4, -3, 4]
#   deconvnet          [ 0, 2,  0, 4]          [1,  0, 3, 0]        [-2, 2, -6, 4]
#   guided_backprop    [ 0, 0,  0, 4]          [1,  0, 0, 0]        [-2, 0,  0, 4]
@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("gradient", [-2, 4, -3, 4]),
        ("deconvnet", [-2, 2, -6, 4]),
        ("guided_backprop", [-2, 0, 0, 4]),
    ],
)
def test_by_hand(method, expected):
    made = artefact(network(TINY), "y", method, select="seed")
    found = run(made, x=one_row([-1, 0, 1, 3]), seed=one_row([-1, 2, -3, 4]))
    np.testing.assert_array_equal(found["attribution"], one_row(expected))


# y = r0 - r1 = [0, 0, 1, 3] - [4, 2, 0, 0] = [-4, -2, 1, 3], strongest at the last place, by 3:
# there R = 3 arrives at the rectifier as 3 and -3, whose channels are 3 and -4 before it.
@pytest.mark.parametrize(
    ("method", "options", "expected", "score"),
    [
        ("deconvnet", {}, [0, 0, 0, 3], 9),
        ("guided_backprop", {"position": "all"}, [0, 0, 1, 1], -2),  # so -1 at the second channel
        ("guided_backprop", {}, [0, 0, 0, 1], 3),
        ("gradient", {"position": "all"}, [2, 2, 1, 1], -2),
        ("gradient", {"position": "all", "seed_value": "activation"}, [-8, -4, 1, 3], 30),
    ],
)
def test_where_the_signal_starts_by_hand(method, options, expected, score):
    made = artefact(network(TINY), "y", method, **options)
    found = run(made, x=one_row([-1, 0, 1, 3]), channel=np.array([0]))
    np.testing.assert_array_equal(found["attribution"], one_row(expected))
    np.testing.assert_array_equal(found["score"], [score])
    if "position" in found:
        np.testing.assert_array_equal(found["position"], [[0, 3]])


RELU_6 = "<float lo = {0}, float hi = {6}> { y = Clip (x, lo, hi) }"
FROM_0 = "<float lo = {0}> { y = Clip (x, lo) }"
AROUND_0 = "<float lo = {-1}, float hi = {6}> { y = Clip (x, lo, hi) }"
UP_TO_6 = "<float hi = {6}> { y = Clip (x, , hi) }"
LEAKY = "{ y = LeakyRelu <alpha = 0.5> (x) }"
X = [-2, -1, 0, 3, 6, 7]
R = np.array([1, -2, 3, -4, 5, -6])
POSITIVE = [1, 0, 3, 0, 5, 0]


@pytest.mark.parametrize(
    ("body", "opset", "gradient", "deconvnet", "guided_backprop"),
    [
        # Rectifiers: nothing passes at exactly 0, nor at the upper bound; deconvnet does not look.
        ("{ y = Relu (x) }", 17, [0, 0, 0, -4, 5, -6], POSITIVE, [0, 0, 0, 0, 5, 0]),
        (FROM_0, 17, [0, 0, 0, -4, 5, -6], POSITIVE, [0, 0, 0, 0, 5, 0]),
        (RELU_6, 17, [0, 0, 0, -4, 0, 0], POSITIVE, [0, 0, 0, 0, 0, 0]),
        ("{ y = Clip <min = 0.0, max = 6.0> (x) }", 9, [0, 0, 0, -4, 0, 0], POSITIVE, [0] * 6),
        # No rectifiers: the gradient under every method, and at the bounds as PyTorch's clamp.
        (AROUND_0, 17, *[[0, -2, 3, -4, 5, 0]] * 3),
        (UP_TO_6, 17, *[[1, -2, 3, -4, 5, 0]] * 3),
        (LEAKY, 17, *[[0.5, -1, 1.5, -4, 5, -6]] * 3),
    ],
    ids=["relu", "clip-from-0", "relu6", "relu6-opset-9", "clip-around-0", "clip-up-to-6", "leaky"],
)
@pytest.mark.parametrize("method", RECTIFIED)
def test_at_one_activation(body, opset, gradient, deconvnet, guided_backprop, method):
    expected = {
        "gradient": gradient, "deconvnet": deconvnet, "guided_backprop": guided_backprop
    }[method]  # fmt: skip
    text = f"""
    <ir_version: 8, opset_import: ["": {opset}]>
    activation (float[N, 1, 1, 6] x) => (float[N, 1, 1, 6] y) {body}
    """
    made = artefact(network(text), "y", method, select="seed")
    found = run(made, x=one_row(X), seed=one_row(R))
    np.testing.assert_array_equal(found["attribution"], one_row(expected))


def test_biases_drop_out_of_deconvnet_and_batch_norm_keeps_its_scale():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    normalised (float[N, 1, 1, 4] x) => (float[N, 1, 1, 4] y)
    <float[1, 1, 1, 1] w = {2}, float[1] b = {100}, float[1] scale = {3}, float[1] shift = {50},
     float[1] mean = {-7}, float[1] variance = {4}>
    { h = Conv (x, w, b) n = BatchNormalization <epsilon = 0.0> (h, scale, shift, mean, variance)
      y = Relu (n) }
    """
    made = artefact(network(text), "y", "deconvnet", select="seed")
    found = run(made, x=one_row([9, -999, 0, 1]), seed=one_row([1, 2, -3, 4]))
    factor = 2 * 3 / np.sqrt(4)  # w · scale / √variance
    expected = one_row([1 * factor, 2 * factor, 0, 4 * factor])
    np.testing.assert_allclose(found["attribution"], expected, rtol=1e-6)


def test_an_unknown_method_is_named_with_the_nearest():
    for ask in (rewrite, check):
        with pytest.raises(UnknownMethod, match=r"no method 'deconvnets' \(nearest: 'deconvnet'"):
            ask(network(TINY), None, "deconvnets")
        with pytest.raises(UnknownMethod, match="methods that take many runs are in `onnxplain.en"):
            ask(network(TINY), None, "occlusion")


def test_the_report_of_a_net():
    report = check(network(SMALL), "r2", "deconvnet")
    assert (report.layer, report.method, report.to, report.opset) == ("r2", "deconvnet", "x", 17)
    assert (report.ok, report.problem, report.warnings) == (True, "", ())
    assert (report.batch, report.batch_note, report.explainable_from) == ("free", "", None)
    assert [(n.operator, n.tensor, n.rule, n.unpool) for n in report.nodes] == [
        ("Conv", "c1", "exact", None),
        ("Relu", "r1", "exact", None),
        ("MaxPool", "p1", "exact", "maxunpool"),
        ("Conv", "c2", "exact", None),
        ("Relu", "r2", "exact", None),
    ]
    json.dumps(dataclasses.asdict(report))


def test_the_report_tells_rectifiers_from_activations_left_alone():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    activations (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y)
    <float zero = {0}, float one = {1}, float six = {6}>
    { a = LeakyRelu (x) b = Clip (a, zero, six) c = Clip (b, one, six)
      d = Sigmoid (c) y = Relu (d) }
    """
    model = network(text)
    rules = {m: [n.rule for n in check(model, "y", m).nodes] for m in RECTIFIED}
    kept = ["as gradient", "exact", "as gradient", "as gradient", "exact"]
    assert rules["deconvnet"] == rules["guided_backprop"] == kept
    assert rules["gradient"] == ["exact"] * 5


@pytest.mark.parametrize(
    ("unpool", "forms", "warned"),
    [
        ("auto", ["scatter", "maxunpool"], []),
        ("scatter", ["scatter", "scatter"], []),
        ("portable", ["portable", "portable"], []),
        ("maxunpool", ["maxunpool", "maxunpool"], ["p1"]),
        ("window", ["window", "window"], ["p1", "p2"]),
    ],
)
def test_the_report_names_the_form_of_unpooling(unpool, forms, warned):
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    pools (float[N, 3, H, W] x) => (float[N, 3, h, w] p2)
    { p1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (x)
      p2 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (p1) }
    """
    report = check(network(text), "p2", "gradient", unpool=unpool)
    assert [n.unpool for n in report.nodes] == forms
    assert [n.tensor for n in report.nodes if n.note] == warned
    assert len(report.warnings) == len(warned)
    assert all(name in warning for name, warning in zip(warned, report.warnings, strict=True))
    assert report.ok


@pytest.mark.parametrize(
    ("batch", "keep_shape", "status"),
    [("N", False, "free"), ("1", False, "freed"), ("1", True, "fixed"), ("4", False, "fixed")],
)
def test_the_report_tells_whether_the_batch_is_free(batch, keep_shape, status):
    report = check(network(SMALL.replace("[N,", f"[{batch},")), "r2", keep_shape=keep_shape)
    assert report.batch == status
    assert bool(report.batch_note) == (status == "fixed")


def test_the_report_of_an_operator_without_a_rule():
    """Explanation is possible from behind it, and the error of `rewrite` says so too."""
    text = """
    <ir_version: 8, opset_import: ["": 17, "com.example": 1]>
    foreign (float[N, 3, H, W] x, float[4, 3, 3, 3] w) => (float[N, 4, h, w] y)
    <float[N, 3, H, W] b>
    { a = Relu (x) b = com.example.Sharpen (a) c = Conv (b, w) y = Relu (c) }
    """
    model = network(text)
    report = check(model, "y", "gradient")
    assert [n.rule for n in report.nodes] == ["exact", "no rule", "exact", "exact"]
    assert not report.ok and "Sharpen" in report.problem
    assert report.explainable_from == "b"
    with pytest.raises(UnsupportedOperator) as refusal:
        rewrite(model, "y", "gradient")
    assert str(refusal.value) == report.problem
    assert all(word in report.problem for word in ("Sharpen", "com.example", "'x'", "'y'", "'b'"))
    assert check(model, "y", "gradient", to="b").ok
    onnx.checker.check_model(rewrite(model, "y", "gradient", Options(to="b")))
