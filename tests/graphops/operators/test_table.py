"""The table as a whole: every operator in it, at every opset and in every float type."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from check_rule import check_rule, one_node, run, spaced

from onnxplain.graphops import Options, rewrite
from onnxplain.graphops.operators import GRADIENT, NO_FLOW
from onnxplain.graphops.operators.table import merge

STATISTICS = [np.array(v, np.float32) for v in ([1.5, -0.7], [0.1, 0.2], [-1, 0.5], [0.5, 2])]
POOL = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1]}
IMAGE = (1, 2, 6, 5)

# operator: the shapes of its inputs, its constants, its attributes
ONE_EACH = {
    "Add": ([(2, 3, 4), (3, 1)], [], {}),
    "AveragePool": ([IMAGE], [], POOL),
    "BatchNormalization": ([IMAGE], STATISTICS, {}),
    "Clip": ([IMAGE], [np.array(0.0, np.float32), np.array(1.03, np.float32)], {}),
    "Concat": ([(2, 3, 4), (2, 1, 4)], [], {"axis": 1}),
    "Conv": ([IMAGE], [spaced((3, 2, 3, 3))], {"strides": [2, 2], "pads": [1, 0, 1, 1]}),
    "Div": ([(2, 3, 4)], [spaced((3, 4)) + 4], {}),
    "Dropout": ([(2, 3, 4)], [], {}),
    "Flatten": ([(2, 3, 4)], [], {}),
    "Gemm": ([(4, 3), (5, 3), (5,)], [], {"transB": 1}),
    "GlobalAveragePool": ([IMAGE], [], {}),
    "GlobalMaxPool": ([IMAGE], [], {}),
    "Identity": ([(2, 3, 4)], [], {}),
    "LeakyRelu": ([(2, 3, 4)], [], {"alpha": 0.2}),
    "MatMul": ([(2, 3, 4), (4, 5)], [], {}),
    "MaxPool": ([IMAGE], [], POOL),
    "Mul": ([(2, 3, 4), (3, 1)], [], {}),
    "ReduceMean": ([(2, 3, 4)], [], {"keepdims": 0}),
    "Relu": ([(2, 3, 4)], [], {}),
    "Reshape": ([(2, 3, 4)], [np.array([0, -1])], {}),
    "Sigmoid": ([(2, 3, 4)], [], {}),
    "Softmax": ([(2, 3, 4)], [], {"axis": 1}),
    "Squeeze": ([(2, 1, 4)], [np.array([1])], {}),
    "Sub": ([(2, 3, 4), (3, 1)], [], {}),
    "Transpose": ([(2, 3, 4)], [], {"perm": [1, 2, 0]}),
    "Unsqueeze": ([(2, 3, 4)], [np.array([1])], {}),
}


def test_every_rule_is_checked():
    """Here in every type and at every opset, or by a file of its family that names it."""
    families = "".join(f.read_text() for f in Path(__file__).parent.glob("test_*.py"))
    unnamed = {name for name in GRADIENT if f'"{name}"' not in families}
    assert not unnamed - ONE_EACH.keys()
    assert ONE_EACH.keys() <= GRADIENT.keys()


def test_an_operator_has_a_rule_or_carries_nothing():
    assert not GRADIENT.keys() & NO_FLOW


def test_every_name_is_an_operator():
    known = {s.name for s in onnx.defs.get_all_schemas() if s.domain == ""}
    assert GRADIENT.keys() <= known
    assert known >= NO_FLOW


def test_two_rules_for_one_operator_are_refused():
    with pytest.raises(ValueError, match="Relu"):
        merge({"Relu": GRADIENT["Relu"]}, {"Relu": GRADIENT["Clip"]})


def test_a_wrong_rule_is_noticed(monkeypatch):
    """The check itself can fail."""
    monkeypatch.setitem(GRADIENT, "Sigmoid", lambda op, n, g: (op.Mul(g, n.outputs[0]),))
    with pytest.raises(AssertionError, match="Sigmoid"):
        check_rule("Sigmoid", [(2, 3)])


@pytest.mark.parametrize("opset", [17, 18, 19, 21, 22, 24, 26])
@pytest.mark.parametrize("operator", ONE_EACH)
def test_at_every_opset(operator, opset):
    shapes, weights, attrs = ONE_EACH[operator]
    check_rule(operator, shapes, weights, opset=opset, variants=["named"], **attrs)


@pytest.mark.parametrize("operator", ONE_EACH)
def test_in_float16(operator):
    shapes, weights, attrs = ONE_EACH[operator]
    check_rule(operator, shapes, weights, opset=22, dtype=np.float16, **attrs)


PAIRED = {**ONE_EACH, "ReduceMean": ([(2, 3, 4)], [], {"axes": [2], "keepdims": 0})}
PAIRED["Transpose"] = ([(2, 3, 4)], [], {"perm": [0, 2, 1]})
PAIRED["Mul"] = ([(2, 3, 4), (2, 3, 1)], [], {})


@pytest.mark.parametrize("variant", ["static", "unknown"])
@pytest.mark.parametrize("operator", PAIRED)
def test_several_results_of_one_image(operator, variant):
    """Each result reads its own image's row of all that the rule reads."""
    shapes, weights, attrs = PAIRED[operator]
    shapes = [(2, *s[1:]) if i == 0 else s for i, s in enumerate(shapes)]
    values = {f"x{i}": spaced(s, i) for i, s in enumerate(shapes)}
    images = {n: v for n, v in values.items() if n == "x0" or v.ndim == 3 and len(v) == 2}
    constants = {f"w{i}": w for i, w in enumerate(weights)}
    constants |= {n: v for n, v in values.items() if n not in images}
    names = [*values, *(f"w{i}" for i in range(len(weights)))]
    model = one_node(operator, names, images, constants, variant, np.float32, 17, 1, attrs)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = "N"

    whole = rewrite(model, "y", "gradient", Options(select="seed", to="x0"))
    (y,) = run(whole, {**images, "seed": zeros(model, images)}, "y")
    axis = 2 if y.ndim == 3 else 1
    image_index, channel = np.array([1, 0, 1]), np.array([0, 1, 2]) % y.shape[axis]
    options = Options(select="pairs", to="x0", position="all", seed_value="one")
    artefact = rewrite(model, "y", "gradient", options)
    onnx.checker.check_model(artefact, full_check=True)
    feeds = {**images, "image_index": image_index, "channel": channel}
    got, score = run(artefact, feeds, "attribution", "score")
    for i in range(3):
        alone = {n: v[image_index[[i]]] for n, v in images.items()}
        seed = np.zeros((1, *y.shape[1:]), np.float32)
        np.moveaxis(seed, axis, 1)[0, channel[i]] = 1
        expected, total = run(whole, {**alone, "seed": seed}, "attribution", "score")
        np.testing.assert_allclose(got[[i]], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(score[[i]], total, rtol=1e-5, atol=1e-6)


def zeros(model, feeds):
    return np.zeros_like(run(model, feeds)[0])


@pytest.mark.parametrize("dtype", [np.float64, ml_dtypes.bfloat16], ids=["float64", "bfloat16"])
@pytest.mark.parametrize("variant", ["static", "unknown"])
@pytest.mark.parametrize("operator", ONE_EACH)
def test_in_types_that_the_cpu_lacks(operator, variant, dtype):
    """There is nothing to run them on here; that every type fits can be checked all the same."""
    shapes, weights, attrs = ONE_EACH[operator]
    values = {f"x{i}": np.zeros(s, dtype) for i, s in enumerate(shapes)}
    constants = {f"w{i}": w for i, w in enumerate(weights)}
    names = [*values, *constants]
    model = one_node(operator, names, values, constants, variant, dtype, 22, 1, attrs)
    artefact = rewrite(model, "y", "gradient", Options(select="seed", to="x0"))
    onnx.checker.check_model(artefact, full_check=True)
    values = (*artefact.graph.input, *artefact.graph.output)
    types = {v.name: v.type.tensor_type.elem_type for v in values}
    own = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    wide = own if dtype is np.float64 else onnx.TensorProto.FLOAT  # a score is never half precision
    assert types.pop("score") == wide
    assert set(types.values()) == {own}


def test_cast_gives_the_signal_the_type_of_its_input():
    """In the table it stands under "Cast"."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> net (float[N, 2] x) => (double[N, 2] y)'
        " { y = Cast <to = 11> (x) }"
    )
    artefact = rewrite(model, "y", "gradient", Options(select="seed"))
    onnx.checker.check_model(artefact, full_check=True)
    feeds = {"x": np.ones((1, 2), np.float32), "seed": np.array([[2.0, -3.0]])}
    (got,) = run(artefact, feeds, "attribution")
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [[2, -3]])
