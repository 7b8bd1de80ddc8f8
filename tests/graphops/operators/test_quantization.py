"""Quantised networks: straight through QuantizeLinear and DequantizeLinear, but for what saturates.

The oracle is PyTorch's fake quantisation, or the clip that it is behind the rounding.
"""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, run
from check_rule import spaced
from onnx import numpy_helper
from oracle import relative_error

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedOperator

RANGES = {
    np.int8: (-128, 127),
    np.uint8: (0, 255),
    np.int16: (-32768, 32767),
    np.uint16: (0, 65535),
}


def pair(scale, zero, kind, axis=None, opset=21, shape=("N", 3, "H", "W")):
    """Return x -> QuantizeLinear -> DequantizeLinear -> y; `zero` may be None."""
    attrs = {} if axis is None else {"axis": axis}
    names = ["scale"] + ([] if zero is None else ["zero"])
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["x", *names], ["q"], **attrs),
        onnx.helper.make_node("DequantizeLinear", ["q", *names], ["y"], **attrs),
    ]
    values = {"scale": np.array(scale, np.float32)}
    if zero is not None:
        values["zero"] = np.array(zero, kind)
    return model_of(nodes, values, shape, shape, opset)


def model_of(nodes, values, x, y, opset=21):
    graph = onnx.helper.make_graph(
        nodes,
        "quantised",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, y)],
        [numpy_helper.from_array(v, name) for name, v in values.items()],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)


def expected(x, seed, scale, zero, kind, axis=None):
    """PyTorch's backward of round(x/s) + z, clipped to the type's range, round straight through."""
    leaf = torch.tensor(x).double().requires_grad_()
    sizes = [1] * x.ndim
    if axis is not None:
        sizes[axis] = -1
    s, z = (torch.tensor(np.array(v, np.float64)).reshape(sizes) for v in (scale, zero))
    steps = leaf / s
    rounded = steps + (steps.round() - steps).detach() + z
    low, high = RANGES[kind]
    y = (rounded.clamp(low, high) - z) * s
    (gradient,) = torch.autograd.grad(y, leaf, torch.tensor(seed).double())
    return y.detach().numpy(), gradient.numpy()


@pytest.mark.parametrize(
    ("kind", "zero"),
    [(k, z) for k in RANGES for z in ("low", "middle", "high")] + [(np.uint8, "none")],
)
def test_one_scale_for_all(kind, zero):
    """Both ends saturate, or one, by where the zero point is; without one it is 0, of uint8."""
    low, high = RANGES[kind]
    point = {"none": 0, "low": low, "middle": (low + high) // 2, "high": high}[zero]
    scale = 2.5 / (high - low)  # the range is 2.5 wide, x 4
    x, seed = spaced((2, 3, 4, 5)), spaced((2, 3, 4, 5), seed=1)
    own, gradient = expected(x, seed, scale, point, kind)
    made = artefact(
        pair(scale, None if zero == "none" else point, kind), "y", "gradient", select="seed"
    )
    found = run(made, x=x, seed=seed)
    np.testing.assert_allclose(found["y"], own, atol=1e-6)
    np.testing.assert_allclose(found["attribution"], gradient, rtol=1e-6)
    passed = np.count_nonzero(gradient)
    assert 0 < passed < gradient.size


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_a_scale_for_each_slice(axis):
    shape = (2, 3, 4, 5)
    x, seed = spaced(shape), spaced(shape, seed=1)
    count = shape[axis]
    scale, zero = np.linspace(0.003, 0.0151, count, dtype=np.float32), np.arange(count) * 9 - 10
    own, gradient = expected(x, seed, scale, zero, np.int8, axis)
    for size in (("N", 3, "H", "W"), shape):
        made = artefact(
            pair(scale, zero, np.int8, axis, shape=size), "y", "gradient", select="seed"
        )
        found = run(made, x=x, seed=seed)
        np.testing.assert_allclose(found["y"], own, atol=1e-6)
        np.testing.assert_allclose(found["attribution"], gradient, rtol=1e-6)
    assert 0 < np.count_nonzero(gradient) < gradient.size


def test_at_the_ends_by_hand():
    """Scale 1, zero point 0: 127.4 and -128.4 still round into the range, 127.6 and -128.6 not."""
    x = np.array([[127.4, 127.6, -128.4, -128.6, 127.5, 0, 500, -500]], np.float32)
    seed = np.arange(1, 9, dtype=np.float32).reshape(1, 8)
    made = artefact(pair(1.0, 0, np.int8, shape=("N", 8)), "y", "gradient", select="seed")
    found = run(made, x=x, seed=seed)["attribution"]
    np.testing.assert_array_equal(found, [[1, 0, 3, 0, 0, 6, 0, 0]])


BETWEEN = {
    "nothing": "y0 = Identity (q)",
    "reshape": "y0 = Reshape (q, rows)",
    "transpose": "y0 = Transpose <perm = [0, 2, 3, 1]> (q)",
    "slice": "y0 = Slice (q, one, three, three)",
    "flatten": "y0 = Flatten (q)",
    "gather": "y0 = Gather <axis = 3> (q, one)",
    "concat": "y0 = Concat <axis = 1> (q, q)",
    "split": "y0, rest = Split <axis = 1, num_outputs = 2> (q)",
    "pad": "y0 = Pad (q, pads)",
    "max pool": "y0 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (q)",
    "overlapping max pool": "y0 = MaxPool <kernel_shape = [3, 3], strides = [1, 2]> (q)",
}


@pytest.mark.parametrize("unpool", ["auto", "portable"])
@pytest.mark.parametrize("between", BETWEEN)
def test_what_lies_between_the_two(between, unpool):
    """Quantised graphs move values about as integers: the signal passes those as if floats."""
    head = '<ir_version: 10, opset_import: ["": 21]> net (float[N, 4, 6, 6] x) => (float[N, P] y)'
    constants = (
        "<float s = {0.02}, int8 z = {-5}, int64[2] rows = {0, -1}, int64[1] one = {1},"
        " int64[1] three = {3}, int64[8] pads = {0, 0, 1, 0, 0, 0, 0, 2}>"
    )
    ends = "q = QuantizeLinear (x, s, z) BODY y = DequantizeLinear (y0, s, z)"
    floats = "BODY y = Identity (y0)"
    models = [
        onnx.parser.parse_model(f"{head} {constants} {{ {text} }}".replace("BODY", body))
        for text, body in (
            (ends, BETWEEN[between]),
            (floats, BETWEEN[between].replace("(q, q)", "(x, x)").replace("(q", "(x")),
        )
    ]
    for model in models:
        model.graph.output[0].type.tensor_type.ClearField("shape")
    x = spaced((2, 4, 6, 6))
    x = np.round(x / 0.02) * np.float32(0.02)  # so that it survives, and its order too
    y = run(models[1], x=x)["y"]
    seed = spaced(y.shape, seed=1)
    quantised, plain = (
        run(artefact(m, "y", "gradient", select="seed", unpool=unpool), x=x, seed=seed)[
            "attribution"
        ]
        for m in models
    )
    assert relative_error(quantised, plain) < 1e-6


@pytest.mark.parametrize(
    "text", ["y = Cast <to = 1> (q)", "c = Cast <to = 6> (q) y = Cast <to = 1> (c)"]
)
def test_integers_taken_out_by_a_cast(text):
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]> net (float[N, 2] x) => (float[N, 2] y)
        <float s = {{0.5}}, uint8 z = {{7}}> {{ q = QuantizeLinear (x, s, z) {text} }}
    """)
    made = artefact(model, "y", "gradient", select="seed")
    found = run(made, x=np.array([[1, -9]], np.float32), seed=np.array([[3, 4]], np.float32))
    np.testing.assert_array_equal(found["attribution"], [[6, 0]])


def qdq_cnn():
    """A small CNN as quantisation tools write it: a pair after each tensor, weights as integers."""
    rng = np.random.default_rng(0)
    values, nodes = {}, []

    def add(operator, inputs, **attrs):
        name = f"t{len(nodes)}"
        nodes.append(onnx.helper.make_node(operator, inputs, [name], **attrs))
        return name

    def pair(tensor, scale, zero, kind):
        s, z = f"s_{tensor}", f"z_{tensor}"
        values[s], values[z] = np.array(scale, np.float32), np.array(zero, kind)
        return add("DequantizeLinear", [add("QuantizeLinear", [tensor, s, z]), s, z])

    def weight(*shape):
        name = f"w{len(values)}"
        values[name] = rng.integers(-127, 128, shape, dtype=np.int8)
        values[f"s_{name}"] = rng.uniform(0.001, 0.004, shape[0]).astype(np.float32)
        values[f"z_{name}"] = np.zeros(shape[0], np.int8)
        return add("DequantizeLinear", [name, f"s_{name}", f"z_{name}"], axis=0)

    x = pair("x", 0.012, 3, np.int8)  # so narrow that both ends saturate
    c = add("Conv", [x, weight(6, 3, 3, 3)], pads=[1, 1, 1, 1])
    r = pair(add("Relu", [c]), 0.01, 0, np.uint8)
    p = add("MaxPool", [r], kernel_shape=[2, 2], strides=[2, 2])
    a = pair(add("Conv", [p, weight(6, 6, 3, 3)], pads=[1, 1, 1, 1]), 0.008, 120, np.uint8)
    b = pair(add("Add", [a, p]), 0.011, 100, np.uint8)
    m = pair(add("Relu", [b]), 0.01, 0, np.uint8)
    f = add("Flatten", [add("GlobalAveragePool", [m])])
    values["bias"] = rng.standard_normal(4).astype(np.float32)
    nodes.append(onnx.helper.make_node("Gemm", [f, weight(4, 6), "bias"], ["y"], transB=1))
    return model_of(nodes, values, ("N", 3, "H", "W"), ("N", 4)), values


def qdq_in_pytorch(x, values):
    weights = [
        torch.tensor(v * values[f"s_{n}"].reshape(-1, *[1] * (v.ndim - 1))).double()
        for n, v in values.items()
        if n.startswith("w")
    ]

    def pair(tensor, scale, zero, low, high):
        return torch.fake_quantize_per_tensor_affine(
            tensor, float(np.float32(scale)), zero, low, high
        )

    x = pair(x, 0.012, 3, -128, 127)
    r = pair(F.relu(F.conv2d(x, weights[0], padding=1)), 0.01, 0, 0, 255)
    p = F.max_pool2d(r, 2)
    a = pair(F.conv2d(p, weights[1], padding=1), 0.008, 120, 0, 255)
    b = pair(a + p, 0.011, 100, 0, 255)
    m = pair(F.relu(b), 0.01, 0, 0, 255)
    return m.mean((2, 3)) @ weights[2].T + torch.tensor(values["bias"]).double()


@pytest.mark.parametrize("select", ["seed", "pairs"])
def test_a_whole_quantised_cnn_as_pytorch_does(select):
    """Rounded values tie often, so maxima must go to the first, and one step off changes a map."""
    model, values = qdq_cnn()
    errors = []
    for trial in range(5):
        x = np.random.default_rng(trial).standard_normal((2, 3, 8, 6)).astype(np.float32)
        leaf = torch.tensor(x).double().requires_grad_()
        y = qdq_in_pytorch(leaf, values)
        made = artefact(model, "y", "gradient", select=select)
        if select == "seed":
            seed = np.random.default_rng(9).standard_normal((2, 4)).astype(np.float32)
            found = run(made, x=x, seed=seed)
            (gradient,) = torch.autograd.grad(y, leaf, torch.tensor(seed).double())
        else:
            feeds = {"image_index": np.array([1, 0, 1]), "channel": np.array([0, 3, 2])}
            found = run(made, x=x, **feeds)
            gradient = torch.stack([
                torch.autograd.grad(y[i, c], leaf, retain_graph=True)[0][i]
                for i, c in ((1, 0), (0, 3), (1, 2))
            ])  # fmt: skip
        np.testing.assert_allclose(found["y"], y.detach().numpy(), atol=0.05)
        errors.append(relative_error(found["attribution"], gradient))
    assert np.median(errors) <= 1e-4


def test_the_report_of_a_quantised_cnn():
    report = check(qdq_cnn()[0], "y", "guided_backprop")
    assert report.ok and report.batch == "free"
    assert {n.rule for n in report.nodes} == {"exact"}


# What cannot be passed, and how to get a model of which it can.

INTEGERS = {
    "QLinearConv": "c = QLinearConv (q, s, z, w, s, z, s, z) y = DequantizeLinear (c, s, z)",
    "QLinearMatMul": "c = QLinearMatMul (q, s, z, m, s, z, s, z) y = DequantizeLinear (c, s, z)",
    "ConvInteger": "c = ConvInteger (q, w, z, z) y = Cast <to = 1> (c)",
    "MatMulInteger": "c = MatMulInteger (q, m, z, z) y = Cast <to = 1> (c)",
}


@pytest.mark.parametrize("between", ["", "q0 = Transpose <perm = [0, 1, 3, 2]> (q) "])
@pytest.mark.parametrize("operator", INTEGERS)
def test_operators_on_integers_are_refused(operator, between):
    text = between + INTEGERS[operator]
    text = text.replace(" (q,", " (q0,") if between else text
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        net (float[N, 3, 4, 4] x) => (float[N, C, H, W] y)
        <float s = {{0.02}}, uint8 z = {{7}}, uint8[2, 3, 1, 1] w = {{1, 2, 3, 4, 5, 6}},
         uint8[4, 1] m = {{1, 2, 3, 4}}>
        {{ q = QuantizeLinear (x, s, z) {text} }}
    """)
    for part in (operator, "QDQ"):
        assert part in check(model, "y", "gradient").problem
    with pytest.raises(UnsupportedOperator, match=f"no rule for {operator} .*QDQ"):
        rewrite(model, "y", "gradient", Options(select="seed"))


def test_dynamic_quantisation_is_refused():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17]>
        net (float[N, 4] x) => (float[N, 1] y) <uint8[4, 1] m = {1, 2, 3, 4}>
        { q, s, z = DynamicQuantizeLinear (x) c = MatMulInteger (q, m, z) f = Cast <to = 1> (c)
          y = Mul (f, s) }
    """)
    with pytest.raises(UnsupportedOperator, match="no rule for DynamicQuantizeLinear .*QDQ"):
        rewrite(model, "y", "gradient", Options(select="seed"))


def test_integers_of_other_kinds_are_refused():
    model = pair(0.1, 0, np.int8)
    model.graph.initializer.pop()
    model.graph.initializer.append(
        onnx.helper.make_tensor("zero", onnx.TensorProto.FLOAT8E4M3FN, [], b"\0", raw=True)
    )
    with pytest.raises(UnsupportedOperator, match="float8e4m3fn.*int8, uint8"):
        rewrite(model, "y", "gradient", Options(select="seed"))
    blocks = pair(
        np.full((2, 3, 2, 5), 0.1), np.zeros((2, 3, 2, 5)), np.int8, axis=2, shape=(2, 3, 4, 5)
    )
    for node in blocks.graph.node:
        node.attribute.append(onnx.helper.make_attribute("block_size", 2))
    with pytest.raises(UnsupportedOperator, match="Linear '.*' is quantised in blocks"):
        rewrite(blocks, "y", "gradient", Options(select="seed"))
