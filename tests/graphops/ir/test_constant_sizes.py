"""Sizes that exporters compute of constants are written down where shape inference is lost."""

import numpy as np
import onnx
import pytest
from artefacts import artefact, run

# How PyTorch's TorchScript exporter splits attention's heads: `end` is 2, by way of a Mod.
HEADS = """
<ir_version: 8, opset_import: ["": 17]>
heads (float[ROWS, 5, 12] x) => (float[ROWS, 5, 4] y)
<int64[1] two = {2}, int64[1] three = {3}, int64[1] zero = {0}, int64[2] last = {3, 4},
 int64 one = {1}>
{
    shape = Shape (x)
    end = Mod (two, three)
    kept = Slice (shape, zero, end)
    sizes = Concat <axis = 0> (kept, last)
    apart = Reshape (x, sizes)
    first = Transpose <perm = [2, 0, 1, 3]> (apart)
    y = Gather <axis = 0> (first, one)
}
"""


@pytest.mark.parametrize("rows", ["N", "1"])
def test_splitting_heads(rows):
    model = onnx.parser.parse_model(HEADS.replace("ROWS", rows))
    made = artefact(model, select="seed")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 5, 12)).astype(np.float32)
    seed = rng.standard_normal((1, 5, 4)).astype(np.float32)
    found = run(made, x=x, seed=seed)
    np.testing.assert_array_equal(found["y"], x[..., 4:8])
    expected = np.zeros_like(x)
    expected[..., 4:8] = seed
    np.testing.assert_array_equal(found["attribution"], expected)
