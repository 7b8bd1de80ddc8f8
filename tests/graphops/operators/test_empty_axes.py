"""Axes of size zero, as of an empty slice: the artefact loads, and the rest has its gradient.

The oracle is PyTorch's autograd. The sizes are declared, named, or unknown until the graph runs.
"""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from artefacts import run

from onnxplain.graphops import Options, check, rewrite

# What detectors with non-maximum suppression in the graph do: an empty slice is picked from and
# joined to the scores.
DETECTIONS = """
net (float[SIZES] x) => (float y)
<int64[1] five = {5}, int64[1] one = {1}, int64[3] kept = {0, 3, 7}, int64[3] rows = {0, 5, -1}>
{
    f = Reshape (x, rows)
    none = Slice (f, five, five, one)
    p = Gather <axis = 2> (f, kept)
    q = Gather <axis = 2> (none, kept)
    y = Concat <axis = 1> (p, q)
}
"""


def numbers(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def model_of(text):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text}')
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def gradient(model, feeds, seed, **options):
    made = rewrite(model, "y", "gradient", Options(select="seed", **options))
    onnx.checker.check_model(made, full_check=True)
    return run(made, **feeds, seed=seed)["attribution"]


@pytest.mark.parametrize("sizes", ["1, 5, 2, 4", "N, 5, H, W"])
def test_an_empty_slice_beside_scores(sizes):
    x, seed = numbers((1, 5, 2, 4)), numbers((1, 5, 3), 1)
    model = model_of(DETECTIONS.replace("SIZES", sizes))
    assert check(model, "y").ok
    expected = np.zeros((1, 5, 8), np.float32)
    expected[:, :, [0, 3, 7]] = seed
    found = gradient(model, {"x": x}, seed)
    np.testing.assert_array_equal(found, expected.reshape(x.shape))


# Body of x [N, 4, H, W] -> y, and the same in PyTorch; every one reshapes on the way back.
BODIES = {
    "Gather": ("y = Gather <axis = 3> (x, at)", lambda x: x[..., [0, 1]]),
    "Tile": ("y = Tile (x, twice)", lambda x: x.tile(1, 1, 2, 1)),
    "DepthToSpace": (
        'y = DepthToSpace <blocksize = 2, mode = "CRD"> (x)',
        lambda x: F.pixel_shuffle(x, 2),
    ),
    "AveragePool": ("y = AveragePool <kernel_shape = [2, 2]> (x)", lambda x: F.avg_pool2d(x, 2, 1)),
    "GlobalMaxPool": ("y = GlobalMaxPool (x)", lambda x: x.amax((2, 3), keepdim=True)),
    "LRN": ("y = LRN <size = 3> (x)", lambda x: F.local_response_norm(x, 3)),
    "GridSample": (
        "y = GridSample (x, grid)",
        lambda x: F.grid_sample(x, torch.zeros(len(x), 1, 1, 2), align_corners=False),
    ),
    "Expand": ("y = Expand (x, more)", lambda x: x.expand(2, *x.shape)),
    "Flatten": ("y = Flatten <axis = 2> (x)", lambda x: x.reshape(-1, 12)),
    "MaxPool": (
        "y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)",
        lambda x: F.max_pool2d(x, 2),
    ),
}


@pytest.mark.parametrize("operator", BODIES)
@pytest.mark.parametrize("images", [0, 2])
@pytest.mark.parametrize("sizes", ["N, 4, 3, 4", "N, 4, H, W", "N, C, H, W"])
def test_a_batch_of_no_images(operator, images, sizes):
    """As a second stage's, where the first has found nothing."""
    body, function = BODIES[operator]
    model = model_of(f"""
        net (float[{sizes}] x, float[N, 1, 1, 2] grid) => (float y)
        <int64[2] at = {{0, 1}}, int64[4] twice = {{1, 1, 2, 1}}, int64[5] more = {{2, 1, 1, 1, 1}}>
        {{ {body} }}
    """)
    leaf = torch.tensor(numbers((images, 4, 3, 4))).requires_grad_()
    y = function(leaf) if images or operator != "DepthToSpace" else leaf.reshape(0, 1, 6, 8)
    seed = numbers(tuple(y.shape), 1)
    (expected,) = torch.autograd.grad(y, leaf, torch.tensor(seed))
    feeds = {"x": leaf.detach().numpy(), "grid": np.zeros((images, 1, 1, 2), np.float32)}
    found = gradient(model, feeds, seed, unpool="scatter")
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)
