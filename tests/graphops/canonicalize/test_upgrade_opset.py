"""Bringing old opsets to 17: what the network computes stays, and what it says about itself."""

import numpy as np
import onnx
import pytest
from check_rule import run
from onnx import TensorProto, helper, numpy_helper

from onnxplain.graphops import Options, load, read_metadata, rewrite
from onnxplain.graphops.canonicalize.upgrade_opset import ADAPTERS, upgrade
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir.exporter import write
from onnxplain.graphops.ir.importer import read

X = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
STATISTICS = [X[0, :, 0, 0], X[0, :, 1, 0], X[0, :, 2, 0], np.abs(X[0, :, 3, 0]) + 0.1]
OF_EACH = [X[0], X[1], X[0] / 2, np.abs(X[1]) + 0.1]  # statistics of each element
ROIS = np.array([[0, 0, 4, 3], [1, 1, 3, 2], [0.5, 0, 2, 3]], np.float32)


def floats(*values):
    return np.array(values, np.float32)


def ints(*values):
    return np.array(values, np.int64)


def version_at(operator, opset):
    """Return the version of an operator that an opset has, None where it has none."""
    try:
        schema = onnx.defs.get_schema(operator, opset, "")
    except onnx.defs.SchemaError:
        return None
    return None if schema.deprecated else schema.since_version


# operator: (opsets of the source, inputs beside x, attributes, outputs), one row a case
CASES = {
    "BatchNormalization": [
        ([7, 8, 9, 13], STATISTICS, {}, 1),
        ([7, 8], STATISTICS, {"spatial": 1, "epsilon": 0.1}, 1),
        ([7, 8], OF_EACH, {"spatial": 0}, 1),
        ([7, 8], OF_EACH, {"spatial": 0, "epsilon": 0.1}, 1),
    ],
    "Clip": [
        ([7, 10], [], {"min": -0.5, "max": 0.3}, 1),
        ([7, 10], [], {"min": 0.0}, 1),
        ([7, 10], [], {"max": 0.2}, 1),
        ([7, 10], [], {}, 1),
    ],
    "Dropout": [([7, 9, 10, 11], [], {"ratio": 0.3}, 1), ([7, 10], [], {}, 1)],
    "Hardmax": [
        ([7, 11, 12], [], {}, 1),
        ([7, 11, 12], [], {"axis": 0}, 1),
        ([7, 11, 12], [], {"axis": 3}, 1),
        ([11, 12], [], {"axis": -2}, 1),
    ],
    "Pad": [
        ([7, 10], [], {"pads": [0, 0, 1, 2, 0, 1, 0, 3]}, 1),
        ([7, 10], [], {"pads": [0, 0, 1, 2, 0, 1, 0, 3], "value": -1.5}, 1),
        ([7, 10], [], {"pads": [0, 0, -1, 2, 0, 0, 0, -2], "value": 2.0}, 1),
        ([7, 10], [], {"pads": [0, 0, 2, 1, 0, 0, 1, 3], "mode": "reflect"}, 1),
        ([7, 10], [], {"pads": [0, 0, 2, 1, 0, 0, 1, 3], "mode": "edge"}, 1),
    ],
    "ReduceSum": [
        ([7, 11, 12], [], {}, 1),
        ([7, 11, 12], [], {"axes": [1, 3]}, 1),
        ([7, 11, 12], [], {"axes": [2], "keepdims": 0}, 1),
        ([7, 11, 12], [], {"keepdims": 0}, 1),
        ([11, 12], [], {"axes": [-1, 1]}, 1),
    ],
    "Resize": [
        ([10], [floats(1, 1, 2, 2)], {}, 1),
        ([10], [floats(1, 1, 1.7, 2.3)], {"mode": "nearest"}, 1),
        ([10], [floats(1, 1, 1.7, 2.3)], {"mode": "linear"}, 1),
        ([10], [floats(1, 1, 0.5, 0.5)], {"mode": "nearest"}, 1),
        ([10], [floats(1, 1, 0.6, 0.7)], {"mode": "nearest"}, 1),
        ([10], [floats(1, 1, 0.6, 0.7)], {"mode": "linear"}, 1),
        ([10], [floats(1, 1, 2.4, 0.7)], {"mode": "nearest"}, 1),
        ([11, 12], [floats(), floats(1, 1, 1.7, 0.6)], {"mode": "nearest"}, 1),
        ([11, 12], [floats(), floats(1, 1, 1.7, 0.6)], {"mode": "linear"}, 1),
        ([11, 12], [floats(), floats(1, 1, 1.7, 2)], {"mode": "cubic"}, 1),
        ([11, 12], [floats(), floats(), ints(2, 3, 7, 3)], {"mode": "linear"}, 1),
        (
            [11, 12],
            [floats(), floats(1, 1, 2, 2)],
            {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            1,
        ),
        (
            [11, 12],
            [floats(), floats(1, 1, 2, 2)],
            {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
            1,
        ),
        (
            [11, 12],
            [floats(0, 0, 0.1, 0.2, 1, 1, 0.8, 0.9), floats(1, 1, 2, 2)],
            {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"},
            1,
        ),
    ],
    "RoiAlign": [
        ([10, 15], [ROIS, ints(0, 1, 1)], {"output_height": 2, "output_width": 3}, 1),
        (
            [10, 15],
            [ROIS, ints(0, 1, 1)],
            {"output_height": 2, "output_width": 2, "sampling_ratio": 2, "spatial_scale": 0.9},
            1,
        ),
        ([10, 15], [ROIS, ints(0, 1, 1)], {"mode": "max"}, 1),
    ],
    "Scatter": [
        ([9, 10], [ints(*range(5)).reshape(1, 1, 1, 5) % 3, X[:1, :1, :1]], {"axis": 1}, 1),
        ([9, 10], [ints(1, 0).reshape(2, 1, 1, 1), X[:, :1, :1, :1] + 9], {}, 1),
    ],
    "Slice": [
        ([7, 9], [], {"starts": [1, 0], "ends": [3, 4], "axes": [2, 3]}, 1),
        ([7, 9], [], {"starts": [0, 1, -3, 1], "ends": [1, 9, -1, 99]}, 1),
    ],
    "Split": [
        ([7, 11, 12], [], {"axis": 3, "split": [1, 3, 1]}, 3),
        ([7, 11, 12], [], {"axis": 2}, 2),
        ([7, 11, 12], [], {}, 2),
        ([11, 12], [], {"axis": -1, "split": [2, 3]}, 2),
    ],
    "Squeeze": [
        ([7, 11, 12], [], {"axes": [1, 3]}, 1),
        ([11, 12], [], {"axes": [-1]}, 1),
        ([7, 11, 12], [], {}, 1),
    ],
    "TopK": [
        ([7, 9], [], {"k": 2, "axis": 3}, 2),
        ([7, 9], [], {"k": 1, "axis": 1}, 2),
        ([7], [], {"k": 3}, 2),
    ],
    "Unsqueeze": [([7, 11, 12], [], {"axes": [0, 3]}, 1), ([11, 12], [], {"axes": [-1, 1]}, 1)],
    "Upsample": [
        ([7, 8], [], {"scales": [1.0, 1.0, 2.0, 3.0]}, 1),
        ([7, 8], [], {"scales": [1.0, 1.0, 1.7, 2.3], "mode": "nearest"}, 1),
        ([7, 8], [], {"scales": [1.0, 1.0, 2.0, 1.5], "mode": "linear"}, 1),
        ([9], [floats(1, 1, 2, 3)], {}, 1),
        ([9], [floats(1, 1, 1.7, 2.3)], {"mode": "nearest"}, 1),
        ([9], [floats(1, 1, 2, 1.5)], {"mode": "linear"}, 1),
    ],
}
CASES["LogSoftmax"] = CASES["Softmax"] = CASES["Hardmax"]

REFUSED = {"Scan"}  # of opset 8, whose form has no equal

# Operators of opset 7 to 16 that changed by 17 in a way that changes no old network.
COMPATIBLE = {
    "more types": """
        Abs Add Ceil CumSum Div Equal Erf Exp Expand Floor GRU GatherElements Greater GreaterOrEqual
        Identity IsNaN LRN LSTM LeakyRelu Less LessOrEqual Log MatMul MeanVarianceNormalization Mod
        Mul Neg NegativeLogLikelihoodLoss NonZero PRelu Pow RNN Reciprocal Relu Sigmoid Sign Size
        SoftmaxCrossEntropyLoss SpaceToDepth Sqrt Sub Tanh Tile Transpose Where
    """,
    "negative axes, which were errors": """
        Compress Concat Flatten Gather ReduceL1 ReduceL2 ReduceLogSum
        ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare
    """,
    "inputs of several shapes, which were errors": "Max Mean Min Sum",
    "attributes and inputs whose default is the old meaning": """
        ArgMax ArgMin AveragePool Cast DepthToSpace DequantizeLinear GatherND Gemm MaxPool
        NonMaxSuppression QuantizeLinear Reshape ScatterElements ScatterND Shape
    """,
    "attributes whose absence had a default that was only written down later": """
        Conv ConvTranspose LpPool MaxUnpool
    """,
    "more kinds of values in the same form": "Constant If Loop",
    "negative indices, which ONNX Runtime has always counted from the end": "OneHot",
}


def test_every_adapter_is_tested():
    assert CASES.keys() | REFUSED == ADAPTERS.keys()


@pytest.mark.parametrize("operator", CASES)
def test_every_old_version_is_tested(operator):
    until, _ = ADAPTERS[operator]
    old = {version_at(operator, opset) for opset in range(7, until)} - {None}
    tested = {version_at(operator, opset) for opsets, *_ in CASES[operator] for opset in opsets}
    assert tested == old


def test_every_change_of_an_operator_is_adapted_or_known_to_change_nothing():
    known = [name for names in COMPATIBLE.values() for name in names.split()]
    assert len(known) == len(set(known))
    assert not ADAPTERS.keys() & set(known)
    changed = {
        schema.name
        for schema in onnx.defs.get_all_schemas_with_history()
        if schema.domain == ""
        and len({version_at(schema.name, o) for o in range(7, 18)} - {None}) > 1
    }
    changed |= {name for name in ADAPTERS if version_at(name, 17) is None}  # taken away
    assert changed == ADAPTERS.keys() | set(known)


@pytest.mark.parametrize(
    ("operator", "opset", "case", "sizes"),
    [
        pytest.param(operator, opset, case, sizes, id=f"{operator}-{opset}-{i}-{sizes}")
        for operator, cases in CASES.items()
        for i, case in enumerate(cases)
        for opset in case[0]
        for sizes in ("static", "dynamic")
        # which axes a Squeeze without axes takes away is not known before it runs
        if (operator, case[2], sizes) != ("Squeeze", {}, "dynamic")
    ],
)
def test_outputs_stay(operator, opset, case, sizes):
    _, inputs, attrs, outputs = case
    x = X[:, :1, :, :1] if operator == "Squeeze" else X
    model = network(operator, opset, x, inputs, attrs, outputs, sizes)
    expected = run(model, {"x": x})
    upgraded = at_17(model)
    assert [n.name for n in upgraded.graph.node if n.op_type != "Constant"].count("node") == 1
    got = run(upgraded, {"x": x})
    for theirs, ours in zip(expected, got, strict=True):
        assert theirs.dtype == ours.dtype
        assert theirs.shape == ours.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3, 1, 4), (1, 6, 1, 1)], ids=str)
def test_softmax_over_several_axes_at_once(shape, axis, operator):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    for sizes in ("static", "dynamic"):
        model = network(operator, 11, x, [], {"axis": axis}, 1, sizes)
        (expected,), (got,) = run(model, {"x": x}), run(at_17(model), {"x": x})
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("opset", [7, 10])
def test_dropout_whose_mask_nobody_reads(opset):
    model = network("Dropout", opset, X, [], {"ratio": 0.4}, 2, "dynamic")
    del model.graph.output[1]
    np.testing.assert_array_equal(run(at_17(model), {"x": X})[0], X)


@pytest.mark.parametrize("opset", [7, 10])
def test_dropout_whose_mask_is_read(opset):
    """ONNX Runtime leaves the old mask at zero, so that one is no oracle: nothing is dropped."""
    model = network("Dropout", opset, X, [], {"ratio": 0.4}, 2, "dynamic")
    mask_type = TensorProto.FLOAT if opset == 7 else TensorProto.BOOL
    model.graph.output[1].type.tensor_type.elem_type = mask_type
    y, mask = run(at_17(model), {"x": X})
    np.testing.assert_array_equal(y, X)
    assert mask.dtype == (np.float32 if opset == 7 else np.bool_)
    assert mask.all()


def test_clip_keeps_the_type_of_its_data():
    for dtype in (np.float16, np.float64):
        x = X.astype(dtype)
        model = network("Clip", 7, x, [], {"min": -0.5, "max": 0.25}, 1, "dynamic")
        (got,) = run(at_17(model), {"x": x})
        np.testing.assert_array_equal(got, np.clip(x, dtype(-0.5), dtype(0.25)))


BRANCHES = """
<ir_version: 7, opset_import: ["": OPSET]>
net (float[N, 3, H, 1] x, bool pick) => (float[a, b, c] y, float[d, e, f] z)
{
  before = Squeeze <axes = [3]> (x)
  y = If (pick) <
    then_branch = yes () => (float[a, b, c] t)
    { s = Squeeze <axes = [3]> (x)  t = Softmax <axis = 1> (s) },
    else_branch = no () => (float[a, b, c] e)
    { s2 = Squeeze <axes = [3]> (x)  parts = ReduceSum <axes = [1], keepdims = 1> (s2)
      never = Not (pick)
      e = If (never) <
        then_branch = so () => (float[a, b, c] u) { u = Sub (s2, parts) },
        else_branch = or () => (float[a, b, c] v)
        { s3 = Squeeze <axes = [3]> (x)  v = Softmax <axis = 1> (s3) }
      > }
  >
  z = Softmax <axis = 1> (before)
}
"""


@pytest.mark.parametrize("opset", [11, 12])
def test_inside_the_branches_of_an_if(opset):
    model = onnx.parser.parse_model(BRANCHES.replace("OPSET", str(opset)))
    upgraded = at_17(model)
    for pick in (True, False):
        feeds = {"x": X[..., :1], "pick": np.array(pick)}
        for expected, got in zip(run(model, feeds), run(upgraded, feeds), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_functions_become_nodes():
    """Each is at its own opset, and its nodes are on the path like any other."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17, "local": 1]>
        net (float[N, 3, H, W] x) => (float[N, 3, H, W] y) { h = local.Half (x)  y = Relu (h) }
        <opset_import: ["": 17], domain: "local">
        Half (a) => (b) { two = Constant <value = float {2.0}> ()  b = Div (a, two) }"""
    )
    onnx.checker.check_model(model, full_check=True)
    artefact = rewrite(model, "y", "gradient", Options(select="seed"))
    onnx.checker.check_model(artefact, full_check=True)
    assert not artefact.functions
    (got,) = run(artefact, {"x": X, "seed": X}, "attribution")
    np.testing.assert_array_equal(got, np.where(X > 0, X / 2, 0))


# The compatible operators, each by an expression of these inputs.
INPUTS = {
    "x": X,
    "p": np.abs(X) + 0.1,
    "m": X[0, 0],
    "n": X[1, 0].T.copy(),
    "v": X[0, 0, 0],
    "w": np.random.default_rng(3).standard_normal((3, 3, 2, 2)).astype(np.float32),
    "i": ints(2, 0, 1, 1).reshape(1, 1, 4, 1).repeat(2, 0),
    "u": X[:, :1, :, :1],
    "k": ints(1, 0, -1),
    "pairs": ints(0, 1, 1, 2).reshape(2, 2),
    "shape": ints(2, 0, -1),
    "whole": ints(2, 3, 4, 5),
    "repeats": ints(1, 2, 1, 3),
    "depth": ints(4),
    "on_off": floats(-1, 2),
    "yes": X > 0,
    "some": np.array([True, False, True]),
    "scalar": np.array(0.1, np.float32),
    "zero": np.array(5, np.uint8),
    "bytes": (np.abs(X) * 40).astype(np.uint8),
    "boxes": floats(0, 0, 1, 1, 0, 0.1, 1, 1.1, 2, 2, 3, 3).reshape(1, 3, 4),
    "scores": floats(0.9, 0.8, 0.7).reshape(1, 1, 3),
    "few": ints(2),
    "over": floats(0.5),
    "sequence": X[0],
    "gates4": np.random.default_rng(4).standard_normal((1, 8, 5)).astype(np.float32),
    "back4": np.random.default_rng(5).standard_normal((1, 8, 2)).astype(np.float32),
    "gates3": np.random.default_rng(6).standard_normal((1, 6, 5)).astype(np.float32),
    "back3": np.random.default_rng(7).standard_normal((1, 6, 2)).astype(np.float32),
    "gates1": np.random.default_rng(8).standard_normal((1, 2, 5)).astype(np.float32),
    "back1": np.random.default_rng(9).standard_normal((1, 2, 2)).astype(np.float32),
    "classes": ints(0, 4, 2, 1),
    "q": X.reshape(1, 8, 3, 5),
    "rows": ints(1, 0).reshape(2, 1),
    "trips": np.array(3),
    "go": np.array(True),
}
SAMPLES = {
    "ArgMax": "ArgMax <axis = 2> (x)",
    "ArgMin": "ArgMin <axis = 1, keepdims = 0> (x)",
    "AveragePool": "AveragePool <kernel_shape = [3, 2], strides = [2, 1], pads = [1, 0, 1, 1]> (x)",
    "Cast": "Cast <to = 6> (x)",
    "Compress": "Compress <axis = 1> (x, some)",
    "Concat": "Concat <axis = 1> (x, p)",
    "Constant": "Constant <value = float[2] {1.0, 2.0}> ()",
    "Conv": "Conv <pads = [0, 1, 1, 0]> (x, w)",
    "ConvTranspose": "ConvTranspose <strides = [2, 2], output_padding = [1, 0]> (x, w)",
    "CumSum": "CumSum <reverse = 1> (x, few)",
    "DepthToSpace": "DepthToSpace <blocksize = 2> (q)",
    "DequantizeLinear": "DequantizeLinear (bytes, scalar, zero)",
    "Equal": "i32 = Cast <to = 6> (x) j32 = Cast <to = 6> (p) y = Equal (i32, j32)",
    "Expand": "Expand (v, whole)",
    "Flatten": "Flatten <axis = 2> (x)",
    "GRU": "y, last = GRU <hidden_size = 2> (sequence, gates3, back3)",
    "Gather": "Gather <axis = 1> (x, i)",
    "GatherElements": "GatherElements <axis = 1> (x, i)",
    "GatherND": "GatherND (x, pairs)",
    "Gemm": "Gemm <alpha = 0.5, beta = 2.0> (m, n, scalar)",
    "If": "If (go) <then_branch = a () => (float[2, 3, 4, 5] t) { t = Relu (x) },"
    " else_branch = b () => (float[2, 3, 4, 5] e) { e = Neg (x) }>",
    "LRN": "LRN <size = 3, alpha = 0.1> (x)",
    "LSTM": "y, last = LSTM <hidden_size = 2> (sequence, gates4, back4)",
    "Loop": "Loop <body = step (int64 t, bool c, float[2, 3, 4, 5] a)"
    " => (bool d, float[2, 3, 4, 5] b) { d = Identity (c) b = Add (a, a) }> (trips, go, x)",
    "LpPool": "LpPool <kernel_shape = [2, 2], p = 2> (x)",
    "MatMul": "MatMul (x, n)",
    "MaxPool": "MaxPool <kernel_shape = [3, 2], strides = [2, 1], pads = [1, 0, 1, 1]> (x)",
    "MaxUnpool": "top, at = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (w)"
    " y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (top, at)",
    "MeanVarianceNormalization": "MeanVarianceNormalization <axes = [0, 2, 3]> (x)",
    "Mod": "Mod <fmod = 1> (x, p)",
    "NegativeLogLikelihoodLoss": "NegativeLogLikelihoodLoss (m, classes)",
    "NonMaxSuppression": "NonMaxSuppression (boxes, scores, few, over)",
    "OneHot": "OneHot (k, depth, on_off)",
    "PRelu": "PRelu (x, v)",
    "Pow": "Pow (p, x)",
    "QuantizeLinear": "QuantizeLinear (x, scalar, zero)",
    "RNN": "y, last = RNN <hidden_size = 2> (sequence, gates1, back1)",
    "Reshape": "Reshape (x, shape)",
    "ScatterElements": "ScatterElements <axis = 1> (x, i, u)",
    "ScatterND": "ScatterND (x, rows, p)",
    "SoftmaxCrossEntropyLoss": "SoftmaxCrossEntropyLoss (m, classes)",
    "SpaceToDepth": "SpaceToDepth <blocksize = 2> (w)",
    "Tile": "Tile (x, repeats)",
    "Transpose": "Transpose <perm = [2, 0, 3, 1]> (x)",
    "Where": "Where (yes, x, p)",
}
SAMPLES |= dict.fromkeys(
    ["Add", "Div", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mul", "Sub"], "? (x, v)"
)
SAMPLES |= dict.fromkeys(["Max", "Mean", "Min", "Sum"], "? (x, p, x)")


@pytest.mark.parametrize(
    ("operator", "opset"),
    [
        (operator, opset)
        for names in COMPATIBLE.values()
        for operator in names.split()
        for opset in range(7, 17)
        if version_at(operator, opset) not in (None, version_at(operator, 17))
        and version_at(operator, opset) != version_at(operator, opset - 1 if opset > 7 else 1)
    ],
)
def test_compatible_operators_compute_the_same(operator, opset):
    expression = SAMPLES.get(operator, "? (x)").replace("?", operator)
    whole = expression.startswith("y, ") or " y = " in expression
    lines = expression if whole else f"y = {expression}"
    model = onnx.parser.parse_model(
        f'<ir_version: 7, opset_import: ["": {opset}]> net () => (float y) {{ {lines} }}'
    )
    read_by = {name for node in model.graph.node for name in node.input}
    read_by |= {"x"} if operator == "If" else set()
    feeds = {name: value for name, value in INPUTS.items() if name in read_by}
    for name, value in feeds.items():
        element = helper.np_dtype_to_tensor_dtype(value.dtype)
        model.graph.input.append(helper.make_tensor_value_info(name, element, value.shape))
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name="y"))
    (expected,) = run(model, feeds)
    element = helper.np_dtype_to_tensor_dtype(expected.dtype)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", element, expected.shape))
    (got,) = run(at_17(model), feeds)
    np.testing.assert_array_equal(got, expected)


REFUSALS = {
    "Scan": """<ir_version: 7, opset_import: ["": 8]>
      net (float[1, T, 2] x) => (float[1, T, 2] y)
      { y = Scan <num_scan_inputs = 1, body = step (float[2] a) => (float[2] b) { b = Relu (a) }>
        ("", x) }""",
    "Resize": """<ir_version: 7, opset_import: ["": 11]>
      net (float[1, 1, 4, 4] x, float[0] roi, float[4] s) => (float[a, b, c, d] y)
      { y = Resize <coordinate_transformation_mode = "tf_half_pixel_for_nn"> (x, roi, s) }""",
}


@pytest.mark.parametrize("operator", REFUSALS)
def test_forms_without_an_equal_are_refused_by_name(operator):
    model = onnx.parser.parse_model(REFUSALS[operator])
    model.graph.node[0].name = "culprit"
    with pytest.raises(UnsupportedModel, match=f"{operator} 'culprit'.*export the model for opset"):
        upgrade(read(model))


def test_batch_normalization_that_updates_its_statistics_is_refused():
    model = network("BatchNormalization", 9, X, STATISTICS, {}, 5, "static")
    with pytest.raises(UnsupportedModel, match="'node'.*training.*export"):
        upgrade(read(model))


def test_newer_opsets_stay():
    for opset in (17, 18, 22, 26):
        graph = read(network("Relu", opset, X, [], {}, 1, "static"))
        upgrade(graph)
        assert graph.opset == opset


OLD_NET = """
<ir_version: 3, opset_import: ["": 9]>
net (float[1, 3, 9, 8] x, float[4, 3, 3, 3] w, float[4] s, float[4] b, float[4] m, float[4] v,
     float[5, 16] f, float[5] o) => (float[1, 5] p)
{
  c = Conv <pads = [1, 1, 1, 1]> (x, w)
  n = BatchNormalization (c, s, b, m, v)
  r = Clip <min = 0.0, max = 6.0> (n)
  u = Upsample <mode = "nearest"> (r, scales)
  q = Pad <pads = [0, 0, 0, 1, 0, 0, 1, 0], value = 0.5> (u)
  a = MaxPool <kernel_shape = [9, 8], strides = [9, 8]> (q)
  d = Dropout <ratio = 0.5> (a)
  t = Slice <axes = [2], starts = [0], ends = [2]> (d)
  l = Flatten (t)
  y = Gemm <transB = 1> (l, f, o)
  p = Softmax (y)
}
"""


def old_net():
    model = onnx.parser.parse_model(OLD_NET)
    rng = np.random.default_rng(0)
    for info in list(model.graph.input)[1:]:
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        values = rng.standard_normal(shape).astype(np.float32)
        values = np.abs(values) if info.name == "v" else values
        model.graph.initializer.append(numpy_helper.from_array(values, info.name))
    scales = numpy_helper.from_array(floats(1, 1, 2, 2), "scales")
    model.graph.initializer.append(scales)
    model.graph.input.append(helper.make_tensor_value_info("scales", TensorProto.FLOAT, [4]))
    return model


def test_a_whole_old_net_with_initializers_as_inputs():
    model = load(old_net().SerializeToString())
    x = np.random.default_rng(1).standard_normal((1, 3, 9, 8)).astype(np.float32)
    (expected,) = run(model, {"x": x})
    artefact = rewrite(model, "c", "gradient")
    onnx.checker.check_model(artefact, full_check=True)
    assert [i.name for i in artefact.graph.input] == ["x", "channel"]
    p, attribution = run(artefact, {"x": x, "channel": ints(0)}, "p", "attribution")
    np.testing.assert_allclose(p, expected, rtol=1e-6, atol=1e-7)
    assert attribution.shape == x.shape


@pytest.mark.parametrize("opset", [9, 17])
def test_what_a_model_says_about_itself_survives(opset):
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": OPSET], producer_name: "someone", model_version: 3>
        net (float[N, 3, H, W] x) => (float[N, 3, H, W] y)
        { c = Clip (x)  y = Relu (c) }""".replace("OPSET", str(opset))
    )
    model.producer_version, model.domain, model.doc_string = "1.2", "org.example", "the model"
    model.metadata_props.add(key="labels", value="cat,dog")
    model.graph.doc_string = "the graph"
    model.graph.metadata_props.add(key="of", value="graph")
    for node in model.graph.node:
        node.doc_string = f"doc of {node.op_type}"
        node.metadata_props.add(key="module", value=f"layers.{node.op_type}")
    value = model.graph.input[0]
    value.doc_string = "a picture"
    value.metadata_props.add(key="range", value="0..1")
    value.type.denotation = "IMAGE"
    value.type.tensor_type.shape.dim[1].denotation = "DATA_CHANNEL"
    model.graph.output[0].doc_string = "an answer"
    given = model.SerializeToString()

    artefact = rewrite(model, "y", "gradient", Options(select="seed"))

    assert model.SerializeToString() == given
    said = (artefact.producer_name, artefact.producer_version, artefact.domain)
    assert said == ("someone", "1.2", "org.example")
    assert (artefact.model_version, artefact.doc_string) == (3, "the model")
    assert (artefact.graph.name, artefact.graph.doc_string) == ("net", "the graph")
    assert read_metadata(artefact)["labels"] == "cat,dog"
    assert {p.key: p.value for p in artefact.graph.metadata_props} == {"of": "graph"}
    for node in artefact.graph.node[:2]:
        assert node.doc_string == f"doc of {node.op_type}"
        assert {p.key: p.value for p in node.metadata_props} == {"module": f"layers.{node.op_type}"}
    value = artefact.graph.input[0]
    assert value.doc_string == "a picture"
    assert {p.key: p.value for p in value.metadata_props} == {"range": "0..1"}
    assert value.type.denotation == "IMAGE"
    assert value.type.tensor_type.shape.dim[1].denotation == "DATA_CHANNEL"
    assert artefact.graph.output[0].doc_string == "an answer"


def at_17(model):
    """Return `model` at opset 17, checked."""
    graph = read(model)
    upgrade(graph)
    upgraded = write(graph, model)
    onnx.checker.check_model(upgraded, full_check=True)
    assert [(o.domain, o.version) for o in upgraded.opset_import] == [("", 17)]
    return upgraded


def network(operator, opset, x, inputs, attrs, outputs, sizes):
    """Return a one-node model of an old opset; `x` is its input, `inputs` are initialisers."""
    element = helper.np_dtype_to_tensor_dtype(x.dtype)
    shape = [None if sizes == "dynamic" else n for n in x.shape]
    if sizes == "dynamic":
        shape = [f"S{i}" for i in range(x.ndim)]
    names = [f"w{i}" for i in range(len(inputs))]
    produced = ["y", *(f"y{i}" for i in range(1, outputs))]
    types = [element] * outputs
    if operator == "TopK":
        types[1] = TensorProto.INT64
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *names], produced, name="node", **attrs)],
        "old",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info(n, t, None) for n, t in zip(produced, types, strict=True)],
        [
            numpy_helper.from_array(np.ascontiguousarray(v), n)
            for n, v in zip(names, inputs, strict=True)
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
