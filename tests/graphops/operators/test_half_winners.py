"""Greatest and least in half precision, of values that a runtime holds in float32 in between."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from onnx import numpy_helper

from onnxplain.graphops import Options, rewrite

NETWORK = """
<ir_version: 9, opset_import: ["": 18]>
net (float16[N, 3, 6, 6] x) => (float16[N, A, B, C] y)
{{ a = Conv <pads = [1, 1, 1, 1]> (x, w0) b = Conv <pads = [1, 1, 1, 1]> (x, w1) y = {node} }}
"""
INDEX = np.random.default_rng(1).integers(0, 6, (2, 4, 6, 6))


def scattered(way):
    return lambda a, b: a.scatter_reduce(2, torch.tensor(INDEX), b, way)


CASES = {
    "Max (a, b)": torch.maximum,
    "Min (a, b)": torch.minimum,
    "ReduceMax (a, axis)": lambda a, b: a.amax(2, keepdim=True),
    "ReduceMin (b, axis)": lambda a, b: b.amin(2, keepdim=True),
    'ScatterElements <axis = 2, reduction = "max"> (a, i, b)': scattered("amax"),
    'ScatterElements <axis = 2, reduction = "min"> (a, i, b)': scattered("amin"),
}


@pytest.mark.parametrize("backward", ["same", "float32"])
@pytest.mark.parametrize("node", CASES, ids=lambda node: node.split()[0])
def test_the_winner_is_known(node, backward):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 6, 6)).astype(np.float16)
    weights = [(rng.normal(size=(4, 3, 3, 3)) / 3).astype(np.float16) for _ in range(2)]
    model = onnx.parser.parse_model(NETWORK.format(node=node))
    constants = {"w0": weights[0], "w1": weights[1], "axis": np.array([2]), "i": INDEX}
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    leaf = torch.tensor(x).double().requires_grad_()
    a, b = (F.conv2d(leaf, torch.tensor(w).double(), padding=1) for w in weights)
    y = CASES[node](a, b)
    seed = rng.normal(size=tuple(y.shape)).astype(np.float16)
    (expected,) = torch.autograd.grad(y, leaf, torch.tensor(seed).double())

    made = rewrite(model, "y", "gradient", Options(select="seed", backward=backward))
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(["attribution"], {"x": x, "seed": seed})
    assert np.linalg.norm(got - expected.numpy()) < 5e-3 * np.linalg.norm(expected)
