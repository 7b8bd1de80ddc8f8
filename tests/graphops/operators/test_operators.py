"""The table as a whole: what is said of every operator, at every opset and in every float type."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from check_rule import check_rule, one_node, run, spaced

from onnxplain.graphops import Options, rewrite
from onnxplain.graphops.canonicalize import canonicalize
from onnxplain.graphops.ir.io import MAX_OPSET
from onnxplain.graphops.operators import GRADIENT, NO_FLOW, REFUSED
from onnxplain.graphops.operators.table import merge


@dataclass(frozen=True)
class Case:
    """One node: its inputs' shapes or values, its constants, its attributes.

    `since`: the first opset to have it; `oracle`: where ONNX Runtime has no float64 kernel for it.
    """

    inputs: list[Any]
    weights: list[Any]
    since: int
    fixed: tuple[str, ...]
    outputs: int
    oracle: Callable[..., torch.Tensor] | None
    attrs: dict[str, Any]


def case(*inputs, weights=(), since=17, fixed=(), outputs=1, oracle=None, **attrs):
    return Case(list(inputs), list(weights), since, fixed, outputs, oracle, attrs)


def ints(*values):
    return np.array(values, np.int64)


def floats(*shape):
    return spaced(shape, seed=9)


ONES = np.ones(4, np.float32)
STATISTICS = [np.array(v, np.float32) for v in ([1.5, -0.7], [0.1, 0.2], [-1, 0.5], [0.5, 2])]
POOL = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1]}
IMAGE, BLOCK, SQUARE = (1, 2, 6, 5), (2, 3, 4), (1, 4, 4, 4)
CURVES = [
    "Abs",
    "Asinh",
    "Atan",
    "Cos",
    "Cosh",
    "Elu",
    "Exp",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LogSoftmax",
    "Neg",
    "Relu",
    "Selu",
    "Sigmoid",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
]
REDUCTIONS = [
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
]

ONE_EACH = {
    **{name: case(BLOCK) for name in CURVES},
    **{name: case(BLOCK, keepdims=0) for name in REDUCTIONS},
    **{name: case(BLOCK, (3, 1)) for name in ("Add", "Max", "Mean", "Min", "Mul", "Sub", "Sum")},
    **{name: case(0.4 * floats(*BLOCK)) for name in ("Acos", "Asin", "Atanh")},
    **{name: case(2.5 + floats(*BLOCK)) for name in ("Log", "Reciprocal", "ReduceLogSum", "Sqrt")},
    "Acosh": case(3.5 + floats(*BLOCK)),
    "AffineGrid": case((1, 2, 3), weights=[ints(1, 2, 3, 4)], since=20),
    "AveragePool": case(IMAGE, **POOL),
    "BatchNormalization": case(IMAGE, weights=STATISTICS),
    "CastLike": case(BLOCK, BLOCK),
    "Celu": case(BLOCK, oracle=F.celu),
    "CenterCropPad": case(IMAGE, weights=[ints(4, 7)], since=18, axes=[2, 3]),
    "Clip": case(IMAGE, weights=[np.array(0.0, np.float32), np.array(1.03, np.float32)]),
    "Compress": case(BLOCK, weights=[np.array([True, False, True])], axis=1),
    "Concat": case(BLOCK, (2, 1, 4), axis=1),
    "Conv": case(IMAGE, weights=[floats(3, 2, 3, 3)], strides=[2, 2], pads=[1, 0, 1, 1]),
    "ConvTranspose": case(IMAGE, weights=[floats(2, 3, 3, 3)], strides=[2, 2], pads=[1, 0, 1, 1]),
    "CumSum": case(BLOCK, weights=[np.array(1)]),
    "DepthToSpace": case(SQUARE, blocksize=2),
    "Div": case(BLOCK, weights=[floats(3, 4) + 4]),
    "Dropout": case(BLOCK),
    "Erf": case(BLOCK, oracle=torch.erf),
    "Einsum": case(BLOCK, weights=[floats(4, 2)], equation="abc,cd->adb"),
    "Expand": case((2, 1, 4), weights=[ints(2, 3, 4)]),
    "Flatten": case(BLOCK),
    "Gather": case(BLOCK, weights=[ints(2, 0, 2)], axis=1),
    "GatherElements": case(BLOCK, weights=[np.zeros((2, 2, 4), np.int64)], axis=1),
    "GatherND": case(BLOCK, weights=[ints([1], [0])], batch_dims=1),
    "Gelu": case(BLOCK, since=20, oracle=F.gelu),
    "Gemm": case((4, 3), (5, 3), (5,), transB=1),
    "GlobalAveragePool": case(IMAGE),
    "GlobalLpPool": case(IMAGE, oracle=lambda x: x.norm(dim=(2, 3), keepdim=True)),
    "GlobalMaxPool": case(IMAGE),
    "GridSample": case(IMAGE, weights=[0.4 * floats(1, 3, 4, 2)]),
    "GroupNormalization": case(SQUARE, weights=[ONES, ONES], since=21, num_groups=2,
                               oracle=lambda x: F.group_norm(x, 2) + 1),
    "InstanceNormalization": case(IMAGE, weights=[floats(2), floats(2)]),
    "LRN": case(SQUARE, size=3, alpha=0.3),
    "LayerNormalization": case(BLOCK, weights=[floats(4), floats(4)]),
    "LeakyRelu": case(BLOCK, alpha=0.2),
    "LpNormalization": case(BLOCK, axis=1),
    "LpPool": case(IMAGE, **POOL),
    "MatMul": case(BLOCK, (4, 5)),
    "MaxPool": case(IMAGE, **POOL),
    "MaxUnpool": case((1, 2, 2, 2), kernel_shape=[2, 2], strides=[2, 2],
                      weights=[ints([[[5, 7], [13, 15]], [[16, 18], [24, 31]]])]),
    "MeanVarianceNormalization": case(IMAGE, axes=[2, 3]),
    "Mish": case(BLOCK, since=18),
    "Mod": case(5 * floats(*BLOCK), weights=[np.array(1.7, np.float32)], fmod=1),
    "PRelu": case(BLOCK, weights=[floats(3, 1)]),
    "Pad": case(IMAGE, weights=[ints(0, 0, 1, 2, 0, 0, 0, 1)], mode="reflect"),
    "Pow": case(2.5 + floats(*BLOCK), weights=[np.array(1.7, np.float32)]),
    "RMSNormalization": case(BLOCK, weights=[floats(4)], since=23),
    "Reshape": case(BLOCK, weights=[ints(0, -1)]),
    "Resize": case(IMAGE, weights=[None, np.array([1, 1, 2, 1.5], np.float32)], fixed=("w1",)),
    "ReverseSequence": case(BLOCK, weights=[ints(1, 3)], batch_axis=0, time_axis=1),
    "ScatterElements": case(BLOCK, (2, 1, 4), weights=[np.ones((2, 1, 4), np.int64)], axis=1),
    "ScatterND": case(BLOCK, (1, 3, 4), weights=[ints([1])]),
    "Shrink": case(BLOCK, oracle=lambda x: torch.where(x.abs() > 0.5, x, 0.0)),
    "Slice": case(BLOCK, weights=[ints(2), ints(0), ints(1), ints(-1)]),
    "Softmax": case(BLOCK, axis=1),
    "SpaceToDepth": case(SQUARE, blocksize=2),
    "Split": case(BLOCK, weights=[ints(1, 2)], outputs=2, axis=1),
    "Squeeze": case((2, 1, 4), weights=[ints(1)]),
    "Swish": case(BLOCK, since=24, alpha=1.3),
    "Tile": case(BLOCK, weights=[ints(1, 2, 1)]),
    "TopK": case(BLOCK, weights=[ints(2)], outputs=2),
    "Transpose": case(BLOCK, perm=[0, 2, 1]),
    "Trilu": case(BLOCK),
    "Unsqueeze": case(BLOCK, weights=[ints(1)]),
    "Where": case(BLOCK, weights=[floats(2, 3, 4) > 0, floats(3, 1)]),
}  # fmt: skip

# How a node names its inputs where constants do not come last.
ORDER = {"Where": ["w0", "x0", "w1"], "ScatterElements": ["x0", "w0", "x1"],
         "ScatterND": ["x0", "w0", "x1"]}  # fmt: skip
# Cast and the two of quantisation have another type on one side; tests of their own check them.
TWO_TYPES = {"Cast", "DequantizeLinear", "QuantizeLinear"}
# The forms of an operator: at opset 17, and at each later one that says something new of it.
FORMS = [
    (name, opset)
    for name, c in ONE_EACH.items()
    for opset in range(c.since, MAX_OPSET + 1)
    if opset == c.since or onnx.defs.get_schema(name, opset).since_version == opset
]
# What ONNX Runtime cannot run here.
NO_KERNEL = {("GlobalLpPool", 22)}
NO_HALF_KERNEL = {"Celu", "GlobalLpPool", "Swish"}
NO_HALF_INFERENCE = {"MeanVarianceNormalization"}  # ONNX's: its function adds a float32 to halves


def test_every_operator_of_the_newest_opset_is_accounted_for():
    """A rule, nothing flows, or refused with advice: none is forgotten, none is two of these."""
    schemas = onnx.defs.get_all_schemas_with_history()
    known = {s.name for s in schemas if s.domain == "" and s.since_version <= MAX_OPSET}
    newest = {name for name in known if not onnx.defs.get_schema(name, MAX_OPSET).deprecated}
    places = (GRADIENT.keys(), NO_FLOW, REFUSED.keys())
    assert set().union(*places) == newest
    assert sum(map(len, places)) == len(newest)


def test_refusals_say_what_to_do():
    for name, advice in REFUSED.items():
        assert any(verb in advice for verb in ("export", "quantise", "project")), name


def test_every_rule_is_checked():
    assert ONE_EACH.keys() | TWO_TYPES == GRADIENT.keys()


def test_two_rules_for_one_operator_are_refused():
    with pytest.raises(ValueError, match="Relu"):
        merge({"Relu": GRADIENT["Relu"]}, {"Relu": GRADIENT["Clip"]})


def test_a_wrong_rule_is_noticed(monkeypatch):
    """The check itself can fail."""
    monkeypatch.setitem(GRADIENT, "Sigmoid", lambda op, n, g: (op.Mul(g, n.outputs[0]),))
    with pytest.raises(AssertionError, match="Sigmoid"):
        check_rule("Sigmoid", [BLOCK])


def check(name, opset, **options):
    c = ONE_EACH[name]
    check_rule(name, c.inputs, c.weights, opset=opset, inputs=ORDER.get(name), outputs=c.outputs,
               fixed=c.fixed, oracle=c.oracle, **options, **c.attrs)  # fmt: skip


@pytest.mark.parametrize(("name", "opset"), [f for f in FORMS if f not in NO_KERNEL])
def test_every_form(name, opset):
    check(name, opset, variants=["named"])


@pytest.mark.parametrize("name", [n for n in ONE_EACH if n not in NO_HALF_KERNEL])
def test_in_float16(name):
    check(name, MAX_OPSET, dtype=np.float16, full_check=name not in NO_HALF_INFERENCE)


@pytest.mark.parametrize("name", ONE_EACH)
def test_in_float32_behind_half_precision(name):
    """Whatever a rule reads, its signals are float32 all the way."""
    if not takes(name, np.float16):
        return
    options = Options(select="seed", to="x0", backward="float32")
    for variant in ("static", "unknown"):
        made = rewrite(
            model_of(ONE_EACH[name], name, variant, np.float16), "y", "gradient", options
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
    made = rewrite(model_of(ONE_EACH[name], name, variant, dtype), "y", "gradient",
                   Options(select="seed", to="x0"))  # fmt: skip
    onnx.checker.check_model(made, full_check=True)
    values = (*made.graph.input, *made.graph.output)
    types = {v.name: v.type.tensor_type.elem_type for v in values}
    own = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    wide = own if dtype is np.float64 else onnx.TensorProto.FLOAT  # a score is never half precision
    assert types.pop("score") == wide
    assert set(types.values()) == {own}


def model_of(c, name, variant, dtype, opset=MAX_OPSET):
    values = {f"x{i}": spaced(v, i) if isinstance(v, tuple) else v for i, v in enumerate(c.inputs)}
    constants = {f"w{i}": w for i, w in enumerate(c.weights) if w is not None}
    names = ORDER.get(name) or [*values, *(f"w{i}" for i in range(len(c.weights)))]
    names = ["" if n.startswith("w") and n not in constants else n for n in names]
    return one_node(
        name, names, values, constants, variant, dtype, opset, c.outputs, c.attrs, c.fixed
    )


# Several results of one image, for each operator by itself; test_operators_in_rows.py has graphs.

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
    options = Options(select="pairs", to="x0", position="all", seed_value="one")
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
