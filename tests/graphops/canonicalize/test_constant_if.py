"""Ifs whose condition does not depend on the image, and values that follow from constants."""

import numpy as np
import onnx
import pytest
from artefacts import artefact, run
from check_rule import spaced

from onnxplain.graphops import check, layers
from onnxplain.graphops.errors import UnsupportedOperator

TWO = (
    "then_branch = a () => (float[N, P] t) { t = Relu (h) },"
    "else_branch = b () => (float[N, P] e) { e = Neg (h) }"
)


def net(body, shape="N, 4", given="", opset=17):
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": {opset}]> '
        f"net (float[{shape}] x) => (float[N, P] y) {given} {{ {body} }}"
    )


def conditions():
    """Conditions that are true, however they are written."""
    yield "constant", "<bool c = {1}>", ""
    yield "constant of one element", "<bool[1] c = {1}>", ""
    yield "node", "", "c = Constant <value = bool {1}> ()"
    yield "cast", "<int64 n = {2}>", "c = Cast <to = 9> (n)"
    yield "not", "<bool n = {0}>", "c = Not (n)"
    yield (
        "size of an axis",
        "<int64 one = {1}, int64 four = {4}>",
        ("s = Shape (h) d = Gather (s, one) c = Equal (d, four)"),
    )
    yield (
        "sliced shape",
        "<int64[1] one = {1}, int64[1] two = {2}, int64[1] three = {3}>",
        ("s = Shape (h) d = Slice (s, one, two) b = Greater (d, three) c = Squeeze (b)"),
    )
    yield "rank", "<int64 two = {2}>", "s = Shape (h) d = Size (s) c = Equal (d, two)"
    yield (
        "arithmetic",
        "<int64 one = {1}, int64 two = {2}>",
        ("s = Shape (h) d = Gather (s, one) m = Mod (d, two) k = Add (m, one) c = Equal (k, one)"),
    )


@pytest.mark.parametrize(
    ("given", "lines"), [c[1:] for c in conditions()], ids=[c[0] for c in conditions()]
)
def test_the_branch_is_taken(given, lines):
    model = net(f"h = Identity (x) {lines} y = If (c) <{TWO}>", given=given)
    assert check(model, "y", "gradient").ok
    made = artefact(model, "y", "gradient", select="seed")
    assert "If" not in {n.op_type for n in made.graph.node}
    x = np.array([[-1, 2, -3, 4]], np.float32)
    found = run(made, x=x, seed=np.array([[1, 2, 3, 4]], np.float32))
    np.testing.assert_array_equal(found["y"], [[0, 2, 0, 4]])
    np.testing.assert_array_equal(found["attribution"], [[0, 2, 0, 4]])


def test_the_other_branch_is_taken():
    made = artefact(
        net(f"h = Abs (x) y = If (c) <{TWO}>", given="<bool c = {0}>"),
        "y",
        "gradient",
        select="seed",
    )
    found = run(
        made, x=np.array([[-1, 2, 3, 4]], np.float32), seed=np.array([[1, 2, 3, 4]], np.float32)
    )
    np.testing.assert_array_equal(found["y"], [[-1, -2, -3, -4]])
    np.testing.assert_array_equal(found["attribution"], [[1, -2, -3, -4]])


@pytest.mark.parametrize(
    "lines",
    [
        "s = ReduceSum <keepdims = 0> (h) c = Greater (s, zero)",  # of the image
        "s = Shape (h) d = Gather (s, first) c = Equal (d, one)",  # of the batch
        "d = Size (h) c = Greater (d, one)",  # of the batch, too
    ],
    ids=["image", "batch", "size"],
)
def test_a_condition_that_is_not_known_is_refused(lines):
    given = "<float zero = {0}, int64 first = {0}, int64 one = {1}>"
    for shape in ("N, 4", "1, 4"):
        model = net(f"h = Identity (x) {lines} y = If (c) <{TWO}>", shape, given)
        with pytest.raises(UnsupportedOperator, match="no rule for If .*condition"):
            artefact(model, "y", "gradient", select="seed")


SQUEEZED = """
h = Conv (x, w)
s = Shape (h) d = Gather (s, two) c = Equal (d, one)
y = If (c) <
  then_branch = a () => (float[N, P] t) { t = Squeeze (h, last) },
  else_branch = b () => (float[N, P] e) { e = Identity (h) }
>
"""


def test_what_pytorch_writes_for_a_squeeze():
    """The size of the squeezed axis is known, that of the batch is not."""
    numbers = ", ".join(str(i - 11.5) for i in range(24))
    given = (
        "<int64 one = {1}, int64 two = {2}, int64[1] last = {2}, "
        f"float[2, 3, 4] w = {{{numbers}}}>"
    )
    model = net(SQUEEZED, "N, 3, 4", given)
    made = artefact(model, "y", "gradient", select="channel")
    assert {"If", "Identity"} & {n.op_type for n in made.graph.node} == {"Identity"}
    assert check(model, "y").batch == "free"
    x = spaced((2, 3, 4))
    found = run(made, x=x, channel=np.array([1, 0]))
    weights = np.arange(24).reshape(2, 3, 4) - 11.5
    np.testing.assert_allclose(found["attribution"], weights[[1, 0]], rtol=1e-6)


NESTED = """
h = Identity (x)
y = If (c) <
  then_branch = a () => (float[N, P] t) {
    two = Constant <value = float {2.0}> ()  k = Mul (h, two)
    t = If (c) <
      then_branch = a2 () => (float[N, P] u) { k2 = Mul (k, k) u = Identity (k2) },
      else_branch = b2 () => (float[N, P] v) { v = Neg (k) }
    >
  },
  else_branch = b () => (float[N, P] e) { e = Identity (h) }
>
"""


def test_nested_branches():
    made = artefact(net(NESTED, given="<bool c = {1}>"), "y", "gradient", select="seed")
    x, seed = spaced((2, 4)), spaced((2, 4), seed=1)
    found = run(made, x=x, seed=seed)
    np.testing.assert_allclose(found["y"], 4 * x**2, rtol=1e-6)
    np.testing.assert_allclose(found["attribution"], 8 * x * seed, rtol=1e-5)


def test_branches_that_name_their_tensors_alike():
    """Each branch is a scope of its own; in one graph they must not meet."""
    model = net("""
        h = Identity (x)
        m = If (c) < then_branch = a () => (float[N, P] t) { k = Neg (h) t = Exp (k) },
                     else_branch = b () => (float[N, P] t) { t = Identity (h) } >
        y = If (c) < then_branch = a () => (float[N, P] t) { k = Sin (m) t = Mul (k, m) },
                     else_branch = b () => (float[N, P] t) { t = Identity (m) } >
    """, given="<bool c = {1}>")  # fmt: skip
    made = artefact(model, "y", "gradient", select="seed")
    x, seed = spaced((2, 4)), spaced((2, 4), seed=1)
    m = np.exp(-x)
    found = run(made, x=x, seed=seed)
    np.testing.assert_allclose(found["y"], np.sin(m) * m, rtol=1e-5)
    expected = seed * (np.cos(m) * m + np.sin(m)) * -m
    np.testing.assert_allclose(found["attribution"], expected, rtol=1e-4, atol=1e-6)


def test_two_outputs_and_an_old_opset():
    model = net("""
        h = Identity (x)
        p, q = If (c) <
            then_branch = a () => (float[N, 4] t, float[N, 4] u) { t = Neg (h) u = Exp (h) },
            else_branch = b () => (float[N, 4] t, float[N, 4] u) { t = Exp (h) u = Neg (h) }
        >
        y = Mul (p, q)
    """, given="<bool c = {1}>", opset=11)  # fmt: skip
    made = artefact(model, "y", "gradient", select="seed")
    x, seed = spaced((2, 4)), spaced((2, 4), seed=1)
    found = run(made, x=x, seed=seed)
    np.testing.assert_allclose(
        found["attribution"], -seed * np.exp(x) * (1 + x), rtol=1e-5, atol=1e-6
    )


def test_layers_inside_the_branch_have_names():
    model = net(f"h = Identity (x) y = If (c) <{TWO}>", given="<bool c = {1}>")
    assert any(layer.operator == "Relu" for layer in layers(model))
