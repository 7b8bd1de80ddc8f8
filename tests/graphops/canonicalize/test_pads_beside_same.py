"""A pooling that says both `pads` and `auto_pad`, which ONNX forbids and old exporters wrote."""

import numpy as np
import onnx
import pytest
from artefacts import artefact, images, network, run

from onnxplain.graphops import layers, load

POOL = """
<ir_version: 8, opset_import: ["": OPSET]>
pool (float[N, 3, 33, 30] x, float[3, 2] w) => (float[N, 2] y)
{
    r = Relu (x)
    p = MaxPool <auto_pad = "SAME_UPPER", kernel_shape = [3, 3], strides = [2, 2]> (r)
    q = Mul (p, p)
    a = GlobalAveragePool (q)
    f = Flatten (a)
    y = MatMul (f, w)
}
"""


@pytest.mark.parametrize("opset", [7, 17])
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_pads_beside_same(operator, opset):
    """Old exporters say both of a pooling; ONNX Runtime does as `auto_pad` says."""
    once = network(POOL.replace("OPSET", str(opset)).replace("MaxPool", operator))
    twice = onnx.ModelProto()
    twice.CopyFrom(once)
    twice.graph.node[1].attribute.append(onnx.helper.make_attribute("pads", [0, 0, 0, 0]))
    shapes = [[layer.shape for layer in layers(load(m.SerializeToString()))] for m in (twice, once)]
    assert shapes[0] == shapes[1]
    feeds = {"x": images(2, (33, 30)), "channel": np.array([0, 1])}
    found, expected = (run(artefact(m, method="gradient"), **feeds) for m in (twice, once))
    assert np.abs(expected["attribution"]).max() > 0
    np.testing.assert_array_equal(run(twice, x=feeds["x"])["y"], expected["y"])
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
