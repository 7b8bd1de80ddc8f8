"""Class activation maps: where in a layer the evidence for a unit of a later layer lies.

The signal starts at the class score, or at the layer that `score_layer` names, and is walked back
to the map's layer. A is that layer's value, g the gradient there, k a channel.
"""

from __future__ import annotations

from onnxplain.graphops.analysis import MapLayout, Places, default_target, layout_of
from onnxplain.graphops.backward import Attribution, Walk, find_path
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.ir import Tensor, onnx_type, rank_of, shape_of
from onnxplain.graphops.operators import GRADIENT

__all__ = ["grad_cam", "grad_cam_pp", "guided_grad_cam", "layer_cam"]

END = 2**62  # beyond any axis: a Slice to its end
EPSILON = 1e-6  # as in pytorch-grad-cam's Grad-CAM++


def grad_cam(walk: Walk) -> Attribution:
    """Selvaraju et al. 2017: relu(Σ w·A) over k, w the mean of g over all positions.

    Returns [B, 1, ...spatial shape of the layer], or of the picture with the option `upsample`.
    """
    return _as_attribution(walk, _grad_cam(walk))


def grad_cam_pp(walk: Walk) -> Attribution:
    """Chattopadhay et al. 2018: relu(Σ w·A) over k, w = Σ α·relu(g), as in pytorch-grad-cam.

    α = g² / (2g² + ΣA·g³ + ε), zero where g is zero; the sums in w and α are over all positions.
    """
    op, positions = walk.op, list(_layout(walk).positions)
    g, maps = _gradient_and_maps(walk)
    square = op.Mul(g, g)
    total = op.ReduceSum(maps, positions, keepdims=1)
    denominator = op.Add(op.Add(square, square), op.Mul(total, op.Mul(square, g)))
    alpha = op.Div(square, op.Add(denominator, EPSILON))
    weights = op.ReduceSum(op.Mul(alpha, op.Relu(g)), positions, keepdims=1)
    return _as_attribution(walk, _rectified_sum(walk, op.Mul(weights, maps)))


def layer_cam(walk: Walk) -> Attribution:
    """Jiang et al. 2021: relu(Σ relu(g)·A) over k, with a weight per position."""
    op = walk.op
    g, maps = _gradient_and_maps(walk)
    return _as_attribution(walk, _rectified_sum(walk, op.Mul(op.Relu(g), maps)))


def guided_grad_cam(walk: Walk) -> Attribution:
    """Selvaraju et al. 2017: guided backpropagation to the picture, times Grad-CAM's map.

    Returns [B, ...shape of the picture]. The method's rules are those of guided backpropagation.
    """
    if not walk.options.upsample:
        raise OptionError(
            "guided_grad_cam multiplies the signal at the picture by the map, which needs the map "
            "at the picture's size: leave `upsample` on, or choose grad_cam"
        )
    op = walk.op
    picture = _picture(walk)
    seen = walk.images.get(picture.name, picture)
    signal = walk.back(path=find_path(walk.graph, seen, walk.path.layer))
    cam = _upsampled(walk, _grad_cam(walk))
    axis = _picture_axis(walk, picture)
    if walk.lacks_batch(picture):
        cam = op.Unsqueeze(op.Squeeze(cam, [0, 1]), [axis])
    elif axis != 1:
        cam = op.Unsqueeze(op.Squeeze(cam, [1]), [axis])
    values = op.narrowed(op.Mul(op.widened(signal), cam), onnx_type(signal))
    values.shape = op.signal_shape(seen)
    return Attribution(values)


def _grad_cam(walk: Walk) -> Tensor:
    op = walk.op
    g, maps = _gradient_and_maps(walk)
    return _rectified_sum(walk, op.Mul(op.mean(g, list(_layout(walk).positions)), maps))


def _gradient_and_maps(walk: Walk) -> tuple[Tensor, Tensor]:
    """Return g and A, tokens laid out as a grid, in float32 for half precision (for g³)."""
    op, layout = walk.op, _layout(walk)
    signal, values = walk.back(GRADIENT), walk.target
    if walk.lacks_batch(walk.path.target):
        signal, values = op.Unsqueeze(signal, [0]), op.Unsqueeze(values, [0])
    g, maps = (_laid_out(walk, layout, t) for t in (signal, values))
    return op.widened(g), op.widened(maps)


def _rectified_sum(walk: Walk, weighted: Tensor) -> Tensor:
    """Return relu of the sum over the channels, [B, 1, ...spatial shape]."""
    op, layout = walk.op, _layout(walk)
    summed = op.ReduceSum(weighted, [layout.channel], keepdims=1)
    order = [0, layout.channel, *layout.positions]
    if order != sorted(order):
        summed = op.Transpose(summed, perm=order)
    return op.Relu(summed)


def _as_attribution(walk: Walk, cam: Tensor) -> Attribution:
    """Return the map in the size and the precision that the options choose."""
    op, target = walk.op, walk.path.target
    shape, sizes = op.signal_shape(target) or [], _layout(walk).sizes
    shape = [1, *shape] if walk.lacks_batch(target) else shape
    if walk.options.upsample:
        cam = _upsampled(walk, cam)
        picture = _picture(walk)
        sizes = [shape_of(picture)[i] for i in _picture_positions(walk, picture)]
    cam = op.narrowed(cam, op.signal_type(target))
    cam.shape = [shape[0], 1, *sizes]
    return Attribution(cam)


def _upsampled(walk: Walk, cam: Tensor) -> Tensor:
    """Interpolate linearly to the picture's size, aligned at pixel centres (half_pixel)."""
    op, picture = walk.op, _picture(walk)
    positions, layout = _picture_positions(walk, picture), _layout(walk)
    if len(positions) != len(layout.positions):
        raise OptionError(
            f"the map of '{walk.path.target.name}' has {len(layout.positions)} spatial axes, but "
            f"the picture '{picture.name}' has {len(positions)}: turn `upsample` off, or name "
            "another layer"
        )
    size = op.raw("Shape", picture, start=positions[0], end=positions[-1] + 1)
    sizes = op.Concat(op.Shape(cam, end=2), size, axis=0)
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return op.Resize(cam, None, None, sizes, **how)


def _laid_out(walk: Walk, layout: MapLayout, tensor: Tensor) -> Tensor:
    """Return the layer's value, or a signal of its shape, with its tokens as a grid."""
    op = walk.op
    if not layout.tokens:
        return tensor
    for axis, places in layout.tokens.items():
        if places.before or places.after:
            end = -places.after if places.after else END
            tensor = op.Slice(tensor, [places.before], [end], [axis])
    sizes = _grid_sizes(walk, layout, tensor)
    if all(isinstance(size, int) for size in sizes):
        return op.Reshape(tensor, sizes)
    pieces = [[size] if isinstance(size, int) else size for size in sizes]
    return op.Reshape(tensor, op.Concat(*pieces, axis=0))


def _grid_sizes(walk: Walk, layout: MapLayout, tensor: Tensor) -> list[Tensor | int]:
    """Return the grid's sizes one by one, at most one of them as the rest (-1)."""
    op = walk.op
    sizes: list[Tensor | int] = []
    for axis, size, source in zip(layout.before, layout.shape, layout.sources, strict=True):
        if axis == 0:
            sizes.append(0)  # as it is
        elif isinstance(size, int):
            sizes.append(size)
        elif axis not in layout.tokens:
            sizes.append(op.raw("Shape", tensor, start=axis, end=axis + 1))
        else:
            known = _size_of_places(walk, Places((source or 0,), (size,)))
            sizes.append(-1 if known is None else known)
    return sizes


def _size_of_places(walk: Walk, places: Places) -> Tensor | None:
    """Append the size of an axis that has these places alone, None where no tensor has one."""
    tensors = walk.graph.tensors()
    for name, axes in walk.canonical.axes.items():
        for axis, found in axes.places.items():
            if found == places and None not in places.sizes and name in tensors:
                return walk.op.raw("Shape", tensors[name], start=axis, end=axis + 1)
    return None


def _layout(walk: Walk) -> MapLayout:
    """Return how the axes of the layer that the map lies over are laid out, with a batch axis."""
    return layout_of(walk.canonical.shape_with_batch(walk.path.target), walk.target_axes)


def _picture(walk: Walk) -> Tensor:
    """Return the picture that the map's layer depends on."""
    return default_target(walk.graph, walk.path.target)


def _picture_positions(walk: Walk, picture: Tensor) -> list[int]:
    return walk.canonical.axes[picture.name].positions(rank_of(picture))


def _picture_axis(walk: Walk, picture: Tensor) -> int:
    return walk.canonical.axes[picture.name].channel or 0
