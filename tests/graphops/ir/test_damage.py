"""A damaged model is the model's fault: whatever byte is wrong, an error of the tree says so."""

import numpy as np
import onnx
import pytest

from onnxplain.graphops import check, layers, load, rewrite
from onnxplain.graphops.errors import CorruptModel, OnnxplainError

MODEL = onnx.parser.parse_model(
    """<ir_version: 8, opset_import: ["": 11]>
    net (float[1, 2, 7, 6] x) => (float[1, 3] y)
    <float[4, 2, 3, 3] w = {0}, float[4] s = {1, 1, 1, 1}, int64[2] flat = {1, -1},
     float[3, 24] m = {0}, float[3] b = {0, 0, 0}, float lo = {0}, float hi = {6}>
    {
      c = Conv <strides = [1, 1], pads = [1, 1, 1, 1]> (x, w)
      n = BatchNormalization (c, s, s, s, s)
      r = Clip (n, lo, hi)
      p = MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (r)
      q = AveragePool <kernel_shape = [2, 2], strides = [2, 2], pads = [1, 0, 0, 1]> (p)
      k = Concat <axis = 1> (q, q)
      f = Reshape (k, flat)
      y = Gemm <transB = 1> (f, m, b)
    }"""
)


def damaged(seed):
    """Return the model's bytes with one to three of them changed."""
    rng = np.random.default_rng(seed)
    data = bytearray(model().SerializeToString())
    for place in rng.integers(0, len(data), rng.integers(1, 4)):
        data[place] = rng.integers(0, 256)
    return bytes(data)


def model():
    whole = onnx.ModelProto()
    whole.CopyFrom(MODEL)
    for tensor in whole.graph.initializer:
        if tensor.name in ("w", "m"):
            values = np.ones(tensor.dims, np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return whole


def explain(data):
    found = load(data)
    layers(found)
    check(found)
    rewrite(found)


def test_undamaged():
    explain(model().SerializeToString())


@pytest.mark.parametrize("block", range(8))
def test_any_byte(block):
    refused = 0
    for seed in range(block * 50, block * 50 + 50):
        try:
            explain(damaged(seed))
        except OnnxplainError:
            refused += 1
    assert refused > 5  # else the bytes changed were none that matter


def test_text_that_is_none():
    data = model().SerializeToString()
    assert data.count(b"net") == 1
    with pytest.raises(CorruptModel, match="'name' of a GraphProto is not UTF-8"):
        load(data.replace(b"net", b"n\xff\xfe"))
