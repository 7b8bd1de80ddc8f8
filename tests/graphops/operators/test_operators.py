"""The rules as a whole: every operator that has one, at every opset and in every float type."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import onnx
import pytest
from check_rule import check_rule, run, spaced
from operator_cases import (
    BLOCK,
    ONE_EACH,
    ORDER,
    REDUCTIONS,
    case,
    floats,
    ints,
    model_of,
)

from onnxplain.graphops import Options, rewrite
from onnxplain.graphops.canonicalize import canonicalize
from onnxplain.graphops.ir.io import MAX_OPSET
from onnxplain.graphops.operators import GRADIENT

# Operators of every CNN, whose rules are also checked where only what they emit has changed.
COMMON = [
    "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "Div", "Dropout",
    "Flatten", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Identity", "LeakyRelu", "MatMul",
    "MaxPool", "Mul", "ReduceMean", "Relu", "Reshape", "Sigmoid", "Softmax", "Squeeze", "Sub",
    "Transpose", "Unsqueeze",
]  # fmt: skip
COMMON_OPSETS = (17, 18, 19, 21, 22, 24, 26)
# What ONNX Runtime cannot run here.
NO_KERNEL = {("GlobalLpPool", 22)}
NO_HALF_KERNEL = {"Celu", "GlobalLpPool", "Swish"}
NO_HALF_INFERENCE = {"MeanVarianceNormalization"}  # ONNX's: its function adds a float32 to halves


def forms(name):
    """Return the opsets to check a rule at: the first, and each that says something new of it."""
    if name not in ONE_EACH:
        return [None]
    since = ONE_EACH[name].since
    new = {
        opset
        for opset in range(since, MAX_OPSET + 1)
        if opset == since or onnx.defs.get_schema(name, opset).since_version == opset
    }
    return sorted(new.union(COMMON_OPSETS) if name in COMMON else new)


def check(name, opset, **options):
    c = ONE_EACH[name]
    check_rule(name, c.inputs, c.weights, opset=opset, inputs=ORDER.get(name), outputs=c.outputs,
               fixed=c.fixed, oracle=c.oracle, **options, **c.attrs)  # fmt: skip


def check_cast():
    """The signal gets the type of the input."""
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


def check_quantized():
    """Scale 1 and zero point 0 in int8: the signal passes where x is between -128.5 and 127.5."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> net (float[N, 4] x) => (float[N, 4] y)'
        " <float one = {1}, int8 zero = {0}>"
        " { q = QuantizeLinear (x, one, zero) y = DequantizeLinear (q, one, zero) }"
    )
    artefact = rewrite(model, "y", "gradient", Options(select="seed"))
    onnx.checker.check_model(artefact, full_check=True)
    x, seed = np.array([[3.2, 127.4, 127.6, -129]], np.float32), np.ones((1, 4), np.float32)
    (got,) = run(artefact, {"x": x, "seed": seed}, "attribution")
    np.testing.assert_array_equal(got, [[1, 1, 0, 0]])


# Their output is of another type than their input, which no case can be.
TWO_TYPES = {
    "Cast": check_cast,
    "DequantizeLinear": check_quantized,
    "QuantizeLinear": check_quantized,
}


@pytest.mark.parametrize(
    ("name", "opset"),
    [(name, opset) for name in GRADIENT for opset in forms(name) if (name, opset) not in NO_KERNEL],
)
def test_every_rule_is_checked(name, opset):
    """Whoever adds a rule adds a case: a rule without one fails here."""
    if name in TWO_TYPES:
        TWO_TYPES[name]()
        return
    assert name in ONE_EACH, f"no case for {name}: add one to ONE_EACH in tests/operator_cases.py"
    check(name, opset, variants=["named"])


def test_a_wrong_rule_is_noticed(monkeypatch):
    """The check itself can fail."""
    monkeypatch.setitem(GRADIENT, "Sigmoid", lambda op, n, g: (op.Mul(g, n.outputs[0]),))
    with pytest.raises(AssertionError, match="Sigmoid"):
        check_rule("Sigmoid", [BLOCK])


@pytest.mark.parametrize(
    ("name", "opset"),
    [(n, MAX_OPSET) for n in ONE_EACH if n not in NO_HALF_KERNEL] + [(n, 22) for n in COMMON],
)
def test_in_float16(name, opset):
    check(name, opset, dtype=np.float16, full_check=name not in NO_HALF_INFERENCE)


@pytest.mark.parametrize("name", ONE_EACH)
def test_in_float32_behind_half_precision(name):
    """Whatever a rule reads, its signals are float32 all the way."""
    if not takes(name, np.float16):
        return
    options = Options(select="seed", to="x0", backward="float32")
    for variant in ("static", "unknown"):
        made = rewrite(
            model_of(ONE_EACH[name], name, variant, np.float16, MAX_OPSET), "y", "gradient", options
        )
        onnx.checker.check_model(made, full_check=name not in NO_HALF_INFERENCE)
        types = {v.name: v.type.tensor_type.elem_type for v in made.graph.output}
        assert types.pop("attribution") == types.pop("score") == onnx.TensorProto.FLOAT


def takes(name, dtype):
    """Tell whether the operator's first input may have that type."""
    schema = onnx.defs.get_schema(name, MAX_OPSET)
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    wanted = f"tensor({onnx.helper.tensor_dtype_to_string(element).split('.')[-1].lower()})"
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    return wanted in allowed[schema.inputs[0].type_str]


TYPED = [
    (name, dtype)
    for name in ONE_EACH
    for dtype in (np.float64, ml_dtypes.bfloat16)
    if takes(name, dtype) and name not in NO_HALF_INFERENCE
]


@pytest.mark.parametrize("variant", ["static", "unknown"])
@pytest.mark.parametrize(("name", "dtype"), TYPED)
def test_in_types_that_the_cpu_lacks(name, dtype, variant):
    """There is nothing to run them on here; that every type fits can be checked all the same."""
    made = rewrite(model_of(ONE_EACH[name], name, variant, dtype, MAX_OPSET), "y", "gradient",
                   Options(select="seed", to="x0"))  # fmt: skip
    onnx.checker.check_model(made, full_check=True)
    values = (*made.graph.input, *made.graph.output)
    types = {v.name: v.type.tensor_type.elem_type for v in values}
    own = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    wide = own if dtype is np.float64 else onnx.TensorProto.FLOAT  # a score is never half precision
    assert types.pop("score") == wide
    assert set(types.values()) == {own}


# Several results of one image, for each operator by itself; test_rows.py has graphs.

PAIRED = {
    **ONE_EACH,
    **{name: case(BLOCK, axes=[2], keepdims=0) for name in REDUCTIONS},
    **{name: case(BLOCK, (2, 3, 1)) for name in ("Add", "Max", "Mean", "Min", "Mul", "Sub", "Sum")},
    "CastLike": case(BLOCK, weights=[np.zeros(1, np.float32)]),
    "Expand": case((2, 1, 4), weights=[ints(1, 3, 4)]),
    "Gemm": case((2, 3), weights=[floats(5, 3), floats(5)], transB=1),
    "GridSample": case((2, 3, 4, 5), 0.4 * floats(2, 3, 4, 2)),
    "MatMul": case(BLOCK, weights=[floats(4, 5)]),
    "ReduceLogSum": case(2.5 + floats(*BLOCK), axes=[1]),
    "ReduceSum": case(BLOCK, weights=[ints(-1)], keepdims=0),
    "Where": case(BLOCK, weights=[floats(1, 3, 4) > 0, floats(3, 1)]),
}
# Whose constants have a row for each image here, so that there is no other number of images.
ROWS_IN_CONSTANTS = {
    "AffineGrid", "GatherElements", "GatherND", "MaxUnpool", "ReverseSequence", "ScatterElements",
    "ScatterND",
}  # fmt: skip


@pytest.mark.parametrize("variant", ["static", "unknown"])
@pytest.mark.parametrize("name", sorted(PAIRED.keys() - ROWS_IN_CONSTANTS))
def test_several_results_of_one_image(name, variant):
    """Each result reads its own image's row of all that the rule reads, from one forward pass."""
    c = PAIRED[name]
    inputs = [(2, *v[1:]) if isinstance(v, tuple) else v for v in c.inputs]
    c = replace(c, inputs=inputs)
    images = {f"x{i}": spaced(v, i) if isinstance(v, tuple) else v for i, v in enumerate(inputs)}
    model = model_of(c, name, variant, np.float32, opset=c.since)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    assert "y" in canonicalize(model).batched

    whole = rewrite(model, "y", "gradient", Options(select="seed", to="x0"))
    y = run(model, images, "y")[0]
    axis = 2 if y.ndim == 3 else 1
    image_index, channel = np.array([1, 0, 1]), np.array([0, 1, 2]) % y.shape[axis]
    options = Options(select="pairs", to="x0", position="all", seed_value="one", channel_axis=axis)
    made = rewrite(model, "y", "gradient", options)
    onnx.checker.check_model(made, full_check=True)
    feeds = {**images, "image_index": image_index, "channel": channel}
    got, score = run(made, feeds, "attribution", "score")
    for i in range(3):
        alone = {n: v[image_index[[i]]] for n, v in images.items()}
        seed = np.zeros((1, *y.shape[1:]), np.float32)
        np.moveaxis(seed, axis, 1)[0, channel[i]] = 1
        expected, total = run(whole, {**alone, "seed": seed}, "attribution", "score")
        np.testing.assert_allclose(got[[i]], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(score[[i]], total, rtol=1e-5, atol=1e-6)
