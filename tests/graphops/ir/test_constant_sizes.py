"""Sizes that exporters compute of constants are written down where shape inference is lost."""

import numpy as np
import onnx
import pytest
import torch
from artefacts import artefact, images, run
from map_nets import MAP_NETS, build
from nets import to_onnx

from onnxplain.graphops import layers

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
    made = artefact(model, "y", select="seed")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 5, 12)).astype(np.float32)
    seed = rng.standard_normal((1, 5, 4)).astype(np.float32)
    found = run(made, x=x, seed=seed)
    np.testing.assert_array_equal(found["y"], x[..., 4:8])
    expected = np.zeros_like(x)
    expected[..., 4:8] = seed
    np.testing.assert_array_equal(found["attribution"], expected)


@pytest.mark.parametrize("name", ["vit", "vit of torch", "swin", "cait", "vit with registers"])
def test_where_the_batch_is_free_all_other_sizes_are_known(name):
    """Tokens from a Reshape to [N, C, -1], class tokens from an Expand, windows from divisions."""
    model = to_onnx(build(name), torch.from_numpy(images(2, MAP_NETS[name].size)), {0: "N"})
    unknown = {
        layer.tensor: layer.shape
        for layer in layers(model)
        if layer.shape is None or sum(not isinstance(size, int) for size in layer.shape) > 1
    }
    assert unknown == {}
