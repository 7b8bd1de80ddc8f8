"""A backward part in float32 behind a network in half precision, whose small signals it keeps."""

import numpy as np
import onnx
import pytest
from artefacts import artefact, images, network, run
from oracle import relative_error

from onnxplain.graphops.errors import OptionError

FADING = """
<ir_version: 8, opset_import: ["": 17]>
fading (float16[N, 4] x) => (float16[N, 4] y) <float twelfth = {0.000244140625}>
{
    small = Cast <to = 10> (twelfth)
    a = Mul (x, small) b = Relu (a)
    c = Mul (b, small) d = LeakyRelu (c)
    y = Mul (d, small)
}
"""


def test_signals_that_half_precision_loses():
    """Three times 2⁻¹² is 2⁻³⁶, and the smallest number of float16 is 2⁻²⁴."""
    model = onnx.parser.parse_model(FADING)
    feeds = {"x": np.array([[1, 3, -2, 4]], np.float16), "seed": np.ones((1, 4), np.float16)}
    same = run(artefact(model, "y", "gradient", select="seed"), **feeds)
    wide = run(artefact(model, "y", "gradient", select="seed", backward="float32"), **feeds)
    assert same["attribution"].dtype == np.float16 and not same["attribution"].any()
    np.testing.assert_array_equal(wide["attribution"], [[2.0**-36, 2.0**-36, 0, 2.0**-36]])
    assert wide["attribution"].dtype == wide["score"].dtype == np.float32
    assert wide["y"].dtype == np.float16


# Pools that overlap, a gate, BatchNorm, averages; and channels folded into the batch, so that
# several results of one image need a second forward pass.
CNN = """
<ir_version: 8, opset_import: ["": 17]>
cnn (float16[N, 3, 16, 16] x, float16[6, 3, 3, 3] w1, float16[6] s, float16[6] b, float16[6] m,
     float16[6] var, float16[6, 6, 1, 1] w2, float16[5, 6] w3) => (float16[N, 5] y)
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
    n1 = BatchNormalization (c1, s, b, m, var)
    r1 = Relu (n1)
    p1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (r1)
    mean = GlobalAveragePool (p1)
    gate = Conv (mean, w2)
    weight = HardSigmoid (gate)
    scaled = Mul (p1, weight)
    a1 = AveragePool <kernel_shape = [2, 2], strides = [2, 2], pads = [1, 0, 0, 1]> (scaled)
    norm = LRN <size = 3, alpha = 0.1> (a1)
    FOLDED
    means = ReduceMean <axes = [2, 3], keepdims = 0> (last)
    y = Gemm <transB = 1> (means, w3)
}
"""
PLAIN = "last = Relu (norm)"
FOLDED = """
    apart = Constant <value_ints = [-1, 1, 4, 4]> () single = Reshape (norm, apart)
    pooled = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (single)
    together = Constant <value_ints = [-1, 6, 2, 2]> () last = Reshape (pooled, together)
"""


def in_float32(model):
    """Return the same network, with the same numbers, in float32."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    for value in (*wide.graph.input, *wide.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for tensor in wide.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16:
            array = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    return wide


@pytest.mark.parametrize("select", ["channel", "pairs"])
@pytest.mark.parametrize("method", ["gradient", "guided_backprop"])
@pytest.mark.parametrize("tail", [PLAIN, FOLDED], ids=["plain", "folded"])
def test_a_cnn(tail, method, select):
    """What is left is the rounding of the forward pass."""
    half = network(CNN.replace("FOLDED", tail))
    x = images(2, (16, 16), dtype=np.float16).astype(np.float32)
    rows = {"image_index": np.array([1, 0])} if select == "pairs" else {}
    feeds = {"channel": np.array([1, 4]), **rows}
    exact = run(artefact(in_float32(half), "y", method, select=select), x=x, **feeds)["attribution"]
    errors = []
    for backward in ("same", "float32"):
        made = artefact(half, "y", method, select=select, backward=backward)
        found = run(made, x=x.astype(np.float16), **feeds)["attribution"]
        assert found.dtype == (np.float32 if backward == "float32" else np.float16)
        errors.append(relative_error(found, exact))
    assert errors[1] < min(errors[0], 2e-3)


def test_a_network_in_float32_stays_as_it_is():
    model = in_float32(network(CNN.replace("FOLDED", PLAIN)))
    same, wide = (artefact(model, "y", backward=b) for b in ("same", "float32"))
    assert [n.op_type for n in same.graph.node] == [n.op_type for n in wide.graph.node]


def test_the_layer_itself():
    """Where layer and target are one, the cotangent is all there is."""
    model = onnx.parser.parse_model(FADING)
    made = artefact(model, "b", "gradient", select="seed", to="b", backward="float32")
    seed = np.array([[1, 2, 3, 4]], np.float16)
    found = run(made, x=seed, seed=seed)["attribution"]
    np.testing.assert_array_equal(found, seed.astype(np.float32))
    assert found.dtype == np.float32


def test_another_precision_is_refused():
    with pytest.raises(OptionError, match="no backward 'float64': .*'float32'"):
        artefact(onnx.parser.parse_model(FADING), "y", backward="float64")
