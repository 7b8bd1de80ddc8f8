"""Operators for random networks that change the resolution, or look between the pixels."""

import torch
import torch.nn.functional as F

from random_networks.drawing import far, fit, image

__all__ = ["OPERATORS"]


def depth_to_space(d):
    block, mode = 2, d.choice("DCR", "CRD")
    x = d.tensor(lambda v: image(v) and v.rank == 4 and v.shape[1] % 4 == 0)

    def compute(v):
        n, c, h, w = v.shape
        if mode == "CRD":
            return F.pixel_shuffle(v, block)
        apart = v.reshape(n, block, block, c // 4, h, w).permute(0, 3, 4, 1, 5, 2)
        return apart.reshape(n, c // 4, h * block, w * block)

    d.add("DepthToSpace", [x], compute, blocksize=block, mode=mode)


def space_to_depth(d):
    x = d.tensor(lambda v: v.rank == 4 and v.shape[2] % 2 == 0 and v.shape[3] % 2 == 0)

    def compute(v):
        n, c, h, w = v.shape
        apart = v.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4)
        return apart.reshape(n, c * 4, h // 2, w // 2)

    d.add("SpaceToDepth", [x], compute, blocksize=2)


def resize(d):
    x = d.tensor(image)
    factors = [d.choice(2.0, 1.0, 3.0, 0.5) for _ in x.shape[2:]]
    sizes = [int(s * f) for s, f in zip(x.shape[2:], factors, strict=True)]
    fit(all(s * f == n > 0 for s, f, n in zip(x.shape[2:], factors, sizes, strict=True)))
    mode = d.choice("nearest", "half_pixel", "align_corners")
    if mode == "nearest":
        attrs = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        attrs = {"coordinate_transformation_mode": mode, "mode": "linear"}

    def compute(v):
        for axis, size in enumerate(sizes, 2):
            matrix = _matrix(v.shape[axis], size, mode).to(v.dtype)
            v = torch.movedim(torch.movedim(v, axis, -1) @ matrix, -1, axis)
        return v

    if d.choice(True, False):
        scales = d.constant([1.0, 1.0, *factors])
        d.add("Resize", [x, None, scales], compute, reads=[x], **attrs)
    else:
        d.add("Resize", [x, None, None, [*x.shape[:2], *sizes]], compute, **attrs)


def _matrix(size, out, mode):
    """Return [size, out]: what each element gives to each of the result."""
    matrix = torch.zeros(size, out, dtype=torch.float64)
    for i in range(out):
        if mode == "nearest":
            matrix[i * size // out, i] = 1
            continue
        if mode == "half_pixel":
            place = (i + 0.5) * size / out - 0.5
        else:
            place = i * (size - 1) / (out - 1) if out > 1 else 0.0
        place = min(max(place, 0.0), size - 1.0)
        low = min(int(place), size - 1)
        matrix[low, i] += 1 - (place - low)
        matrix[min(low + 1, size - 1), i] += place - low
    return matrix


def affine_grid(d):
    """A grid of positions in an image of a few pixels, turned and shifted as a network says."""
    fit(d.opset >= 20)
    rank = d.choice(2, 3)
    images, align = d.number(1, 2), d.number(0, 1)
    size = [images, d.number(1, 2), *d.numbers(1 + align, 3, rank)]  # one pixel has no corners
    theta = d.cut(images, rank, rank + 1)

    def compute(v):
        return F.affine_grid(v, size, bool(align))

    return d.add("AffineGrid", [theta, size], compute, align_corners=align)


def grid_sample(d):
    """An image at the positions of a grid, none of them where the weights of the pixels jump."""
    x = d.tensor(lambda v: v.rank == 4 or (v.rank == 5 and d.opset >= 20))
    mode = d.choice("linear", "nearest", *(["cubic"] if x.rank == 4 else []))
    padding = d.choice("zeros", "border", "reflection")
    align = d.number(0, 1)
    shape = (x.shape[0], *d.numbers(1, 3, x.rank - 2), x.rank - 2)
    grids = [v for v in d.values if v.rank == x.rank and _samples(v.shape, x.shape)]
    grid = d.choice(*grids) if grids and d.choice(True, False) else d.weight_or_cut(*shape)
    grid = d.inside(grid, -2.5, 2.5)
    sizes = torch.tensor(x.shape[:1:-1])
    span, low = (sizes - 1, 0.0) if align else (sizes, -1.0)
    twice = (grid.value + 1) * span + low  # as many halves of a pixel from the first one
    fit(far(torch.where(span > 0, twice - twice.round(), 1.0), 0.0))
    name = mode if d.opset >= 20 or mode == "nearest" else f"bi{mode}"
    torch_name = mode if mode == "nearest" else f"bi{mode}"

    def compute(v, g):
        return F.grid_sample(v, g, torch_name, padding, bool(align))

    attrs = {"mode": name, "padding_mode": padding, "align_corners": align}
    d.add("GridSample", [x, grid], compute, **attrs)


def _samples(grid, x):
    return grid[0] == x[0] and grid[-1] == len(x) - 2


OPERATORS = {
    "AffineGrid": affine_grid,
    "DepthToSpace": depth_to_space,
    "GridSample": grid_sample,
    "Resize": resize,
    "SpaceToDepth": space_to_depth,
}
