"""GridSample in every mode, and the grids that a network computes for it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, images, network, run, weights
from check_rule import check_rule, spaced
from oracle import relative_error

PADDINGS = ["zeros", "border", "reflection"]
IMAGE, GRID = (2, 3, 4, 5), (2, 3, 7, 2)


def grid(shape=GRID, reach=1.6):
    """Positions inside the image and beyond it, none of them as near to one pixel as to another."""
    return spaced(shape, seed=5) * reach / 2 + 0.013


@pytest.mark.parametrize("align_corners", [0, 1])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_to_the_image(mode, padding, align_corners):
    """Against differences of the operator itself, which is linear in the image."""
    attrs = {"linear": True, "padding_mode": padding, "align_corners": align_corners}
    check_rule("GridSample", [IMAGE], weights=[grid(reach=5.0)], mode=f"bi{mode}", **attrs)
    check_rule("GridSample", [IMAGE], weights=[grid()], opset=20, mode=mode, **attrs)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_to_the_image_as_pytorch_does(mode, padding, align_corners):
    weight = grid(reach=2.5)

    def same(x):
        g = torch.tensor(weight).double()
        return F.grid_sample(x, g, mode, padding, align_corners)

    attrs = {"padding_mode": padding, "align_corners": int(align_corners)}
    check_rule("GridSample", [IMAGE], weights=[weight], oracle=same, mode=mode, **attrs)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_to_the_grid(mode, wrt, padding, align_corners):
    def same(x, g):
        return F.grid_sample(x, g, f"bi{mode}", padding, align_corners)

    attrs = {"padding_mode": padding, "align_corners": int(align_corners)}
    for reach in (0.9, 2.5):
        values = [IMAGE, grid(reach=reach)]
        check_rule("GridSample", values, wrt=wrt, oracle=same, mode=f"bi{mode}", **attrs)
    check_rule("GridSample", [IMAGE, grid()], wrt=wrt, opset=20, oracle=same, mode=mode, **attrs)


def test_to_the_grid_of_nearest_nothing_flows():
    def same(x, g):
        return F.grid_sample(x, g, "nearest", align_corners=False)

    check_rule("GridSample", [IMAGE, grid()], wrt=1, oracle=same, mode="nearest")


@pytest.mark.parametrize("align_corners", [0, 1])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_in_three_dimensions(mode, padding, align_corners):
    def same(x, g):
        name = "bilinear" if mode == "linear" else mode
        return F.grid_sample(x, g, name, padding, bool(align_corners))

    values = [(1, 2, 3, 2, 4), grid((1, 2, 3, 2, 3))]
    attrs = {"mode": mode, "padding_mode": padding, "align_corners": align_corners}
    for wrt in (0, 1):
        check_rule("GridSample", values, wrt=wrt, opset=20, oracle=same, **attrs)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_an_image_of_one_pixel(mode, padding):
    for align_corners in (0, 1):
        check_rule("GridSample", [(1, 2, 1, 3)], weights=[grid((1, 2, 2, 2))], linear=True,
                   mode=mode, padding_mode=padding, align_corners=align_corners)  # fmt: skip


def test_float16():
    near = grid(reach=0.5).astype(np.float16).astype(np.float32)

    def same(x):
        return F.grid_sample(x, torch.tensor(near).double(), align_corners=True)

    check_rule(
        "GridSample", [IMAGE], weights=[near], oracle=same, dtype=np.float16, align_corners=1
    )


@pytest.mark.parametrize("align_corners", [0, 1])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 3, 2, 4)], ids=str)
def test_affine_grid(size, align_corners):
    rank = len(size) - 2

    def same(theta):
        return F.affine_grid(theta, list(size), bool(align_corners))

    check_rule("AffineGrid", [(2, rank, rank + 1)], weights=[np.array(size)], opset=20, oracle=same,
               align_corners=align_corners)  # fmt: skip


TRANSFORMER = """
<ir_version: 9, opset_import: ["": 20]>
transformer (float[N, 2, H, W] x, float[6, 2, 3, 3] w1, float[6] b1, float[3, 2, 3, 3] w2)
    => (float[N, 3, H, W] y)
<int64[3] form = {0, 2, 3}>
{
    c = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    r = Relu (c)
    m = GlobalAveragePool (r)
    theta = Reshape (m, form)
    size = Shape (x)
    grid = AffineGrid (theta, size)
    seen = GridSample (x, grid)
    y = Conv <pads = [1, 1, 1, 1]> (seen, w2)
}
"""


@pytest.mark.parametrize("select", ["seed", "pairs"])
def test_a_spatial_transformer(select):
    """The image decides where it is looked at, so the signal takes both ways."""
    model = network(TRANSFORMER)
    w1, b1, w2 = (torch.tensor(weights(model)[n]).double() for n in ("w1", "b1", "w2"))
    x = images(2, (6, 5), channels=2)
    leaf = torch.tensor(x).double().requires_grad_()
    theta = F.relu(F.conv2d(leaf, w1, b1, padding=1)).mean((2, 3)).reshape(2, 2, 3)
    seen = F.grid_sample(leaf, F.affine_grid(theta, list(x.shape), False), align_corners=False)
    y = F.conv2d(seen, w2, padding=1)
    position = None if select == "seed" else "all"
    made = artefact(model, "y", "gradient", select=select, position=position)
    if select == "seed":
        seed = spaced(tuple(y.shape), seed=1)
        found = run(made, x=x, seed=seed)["attribution"]
        (expected,) = torch.autograd.grad(y, leaf, torch.tensor(seed).double())
    else:
        feeds = {"image_index": np.array([1, 0, 1]), "channel": np.array([0, 2, 1])}
        found = run(made, x=x, **feeds)["attribution"]
        expected = torch.stack([
            torch.autograd.grad(y[i, c].sum(), leaf, retain_graph=True)[0][i]
            for i, c in ((1, 0), (0, 2), (1, 1))
        ])  # fmt: skip
    assert relative_error(found, expected) < 1e-4
