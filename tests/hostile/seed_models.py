"""Small models, one of each kind, that mutations start from."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["SEEDS"]

CLASSIFIER = """<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] x) => (float[N, 4] y)
<float[4, 3, 3, 3] w, float[4] s = {1, 2, 1, 1}, int64[2] flat = {0, -1}, float[16, 4] m,
 float[4] b>
{
    c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w, b)
    n = BatchNormalization (c, s, s, s, s)
    r = Relu (n)
    p = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], ceil_mode = 0> (r)
    f = Reshape (p, flat)
    z = Gemm (f, m, b)
    y = Softmax <axis = 1> (z)
}"""
OLD = """<ir_version: 6, opset_import: ["": 9]>
net (float[1, 3, 8, 8] x) => (float[1, 6, 16, 16] y)
<float[6, 3, 3, 3] w, float[4] q = {1, 1, 2, 2}>
{
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    l = LeakyRelu <alpha = 0.1> (c)
    u = Upsample <mode = "nearest"> (l, q)
    y = Clip <min = 0.0, max = 6.0> (u)
}"""
RESIZED = """<ir_version: 8, opset_import: ["": 18]>
net (float[N, 3, H, W] x) => (float[N, 3, A, B] y)
<float[4] q = {1, 1, 0.5, 0.5}, int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}, float v = {0.5},
 int64[1] a = {0}, int64[1] e = {2}, int64[1] ax = {1}>
{
    p = Pad <mode = "constant"> (x, pads, v)
    r = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (p, , q)
    s = Slice (r, a, e, ax)
    i, j = Split <axis = 1, num_outputs = 2> (s)
    y = Concat <axis = 1> (i, r)
}"""
SIZES = """<ir_version: 8, opset_import: ["": 17]>
net (float[N, 4, 6, 6] x) => (float[N, K, 6] y)
<int64[1] zero = {0}, int64[1] one = {1}, int64 two = {2}, int64 three = {3}, int64[1] last = {-1},
 int64[1] six = {6}, int64[1] r = {3}>
{
    h = Shape (x)
    n = Gather <axis = 0> (h, zero)
    k = Mul (six, one)
    t = Concat <axis = 0> (n, last, k)
    u = Reshape (x, t)
    o = ConstantOfShape (k)
    g = Range (two, three, three)
    c = Cast <to = 1> (g)
    e = Expand (o, k)
    d = Add (u, e)
    q = Greater (d, c)
    w = Where (q, d, u)
    ones = ConstantOfShape <value = int64[1] {1}> (r)
    y = Tile (w, ones)
}"""
ATTENTION = """<ir_version: 10, opset_import: ["": 23]>
net (float[N, 5, 8] x) => (float[N, 5, 8] y)
<float[8, 8] w, float[8] s = {1, 1, 1, 1, 1, 1, 1, 1}>
{
    l = LayerNormalization <axis = -1> (x, s, s)
    q = MatMul (l, w)
    a = Attention <q_num_heads = 2, kv_num_heads = 2> (q, q, l)
    g = Gelu (a)
    e = Einsum <equation = "nij,jk->nik"> (g, w)
    y = Add (e, x)
}"""
QUANTIZED = """<ir_version: 8, opset_import: ["": 17]>
net (float[N, 2, 5, 5] x) => (float[N, 3, 1, 1] y)
<float scale = {0.1}, uint8 zp = {128}, int8[3, 2, 3, 3] w, int8 wz = {0}>
{
    a = QuantizeLinear (x, scale, zp)
    b = DequantizeLinear (a, scale, zp)
    v = DequantizeLinear (w, scale, wz)
    c = Conv (b, v)
    s = Sigmoid (c)
    m = Mul (c, s)
    y = GlobalAveragePool (m)
}"""
DETECTOR = """<ir_version: 8, opset_import: ["": 17]>
net (float[1, 3, 8, 8] x) => (float[1, 64] best, int64[1, 64] which)
<float[6, 3, 3, 3] w, int64[3] t = {1, 6, 64}, int64[1] k = {1}>
{
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    r = Reshape (c, t)
    p = Transpose <perm = [0, 2, 1]> (r)
    s = Sigmoid (p)
    v, i = TopK <axis = 2> (s, k)
    best = Squeeze (v, two)
    which = Squeeze (i, two)
    two = Constant <value_ints = [2]> ()
}"""
RECURRENT = """<ir_version: 8, opset_import: ["": 17]>
net (float[4, N, 3] x) => (float[4, 1, N, 5] y, float[1, N, 5] h)
<float[1, 20, 3] w, float[1, 20, 5] r>
{ y, h, c = LSTM <hidden_size = 5> (x, w, r) }"""
LOCAL = """<ir_version: 8, opset_import: ["": 17, "local": 1]>
net (float[N, 3, 8, 8] x) => (float[N, 3, 4, 4] y) { h = local.Act (x) y = local.Pool (h) }
<domain: "local", opset_import: ["": 17, "local": 1]> Act (a) => (b)
{ s = Sigmoid (a) b = Mul (a, s) }
<domain: "local", opset_import: ["": 17, "local": 1]> Pool (a) => (b)
{ c = local.Act (a) b = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (c) }"""
BRANCHED = """<ir_version: 8, opset_import: ["": 17]>
net (float[N, 2, 4, 4] x, bool go) => (float[N, 2, 4, 4] y)
{
    t = If (go) <then_branch = yes () => (float[a, b, c, d] p) { p = Relu (x) },
                 else_branch = no () => (float[a, b, c, d] q) { q = Neg (x) }>
    r = Reciprocal (t)
    g = GridSample (x, grid)
    grid = Constant <value = float[1, 1, 1, 2] {0, 0}> ()
    y = Add (t, g)
}"""
COUNTED = """<ir_version: 8, opset_import: ["": 17]>
net (float[N, 2, 4, 4] x) => (float[N, 2, 4, 4] y)
<int64 trips = {3}, bool go = {1}>
{
    z = Loop (trips, go, x) <body = step (int64 i, bool c, float[a, b, d, e] v)
        => (bool more, float[a, b, d, e] w) { more = Identity (c) w = Relu (v) }>
    y = Mul (z, x)
}"""


def _filled(text: str) -> onnx.ModelProto:
    """Parse a model, and fill the weights that it only declares with values of a fixed seed."""
    model = onnx.parser.parse_model(text)
    random = np.random.default_rng(0)
    for value in list(model.graph.value_info):
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        if value.name not in {name for node in model.graph.node for name in node.output}:
            values = (3 * random.standard_normal(shape)).astype(kind)
            model.graph.initializer.append(numpy_helper.from_array(values, value.name))
            model.graph.value_info.remove(value)
    return model


def _sparse() -> onnx.ModelProto:
    model = _filled(
        OLD.replace(": 6,", ": 8,")
        .replace(": 9", ": 13")
        .replace("Upsample", "Resize")
        .replace("(l, q)", "(l, , q)")
        .replace("Clip <min = 0.0, max = 6.0>", "Relu")
    )
    places = numpy_helper.from_array(np.array([0, 7]), "places")
    values = numpy_helper.from_array(np.ones(2, np.float32), "sparse")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3, 3]))
    model.training_info.add().algorithm.node.add(op_type="Identity", input=["w"], output=["v"])
    helper.set_model_props(model, {"onnxplain.labels": '["a", "b"]', "note": "x"})
    model.graph.value_info.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, None))
    return model


SEEDS = [
    *map(_filled, (
        CLASSIFIER, OLD, RESIZED, SIZES, ATTENTION, QUANTIZED, DETECTOR, RECURRENT, LOCAL,
        BRANCHED, COUNTED,
    )),
    _sparse(),
]  # fmt: skip
