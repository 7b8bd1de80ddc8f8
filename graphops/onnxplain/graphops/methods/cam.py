"""Class activation maps: where in a layer the evidence for a unit of a later layer lies.

The signal starts at the class score, or at the layer that `score_layer` names, and is walked back
to the map's layer. A is that layer's value, g the gradient there, k a channel.
"""

from __future__ import annotations

from onnxplain.graphops.analysis import channel_axis, default_target, has_channels_last
from onnxplain.graphops.backward import Attribution, Walk, find_path
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.ir import Tensor, onnx_type, rank_of, shape_of
from onnxplain.graphops.operators import GRADIENT

__all__ = ["grad_cam", "grad_cam_pp", "guided_grad_cam", "layer_cam"]

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
    op, positions = walk.op, _positions(walk)
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
    return _rectified_sum(walk, op.Mul(op.mean(g, _positions(walk)), maps))


def _gradient_and_maps(walk: Walk) -> tuple[Tensor, Tensor]:
    """Return g and A, in float32 for half precision, whose range g³ exceeds."""
    op, g, maps = walk.op, walk.back(GRADIENT), walk.path.target
    if walk.lacks_batch(maps):
        g, maps = op.Unsqueeze(g, [0]), op.Unsqueeze(maps, [0])
    return op.widened(g), op.widened(maps)


def _rectified_sum(walk: Walk, weighted: Tensor) -> Tensor:
    """Return relu of the sum over the channels, [B, 1, ...spatial shape]."""
    op = walk.op
    summed = op.ReduceSum(weighted, [_map_axis(walk)], keepdims=0)
    return op.Unsqueeze(op.Relu(summed), [1])


def _as_attribution(walk: Walk, cam: Tensor) -> Attribution:
    """Return the map in the size and the precision that the options choose."""
    op, target = walk.op, walk.path.target
    shape = op.signal_shape(target) or []
    shape = [1, *shape] if walk.lacks_batch(target) else shape
    sizes = [shape[i] for i in _positions(walk)]
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
    positions = _picture_positions(walk, picture)
    if len(positions) != len(_positions(walk)):
        raise OptionError(
            f"the map of '{walk.path.target.name}' has {len(_positions(walk))} spatial axes, but "
            f"the picture '{picture.name}' has {len(positions)}: turn `upsample` off, or name "
            "another layer"
        )
    size = op.raw("Shape", picture, start=positions[0], end=positions[-1] + 1)
    sizes = op.Concat(op.Shape(cam, end=2), size, axis=0)
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return op.Resize(cam, None, None, sizes, **how)


def _map_axis(walk: Walk) -> int:
    """Return the channel axis of the layer that the map lies over, counted with a batch axis."""
    target, axis = walk.path.target, walk.options.channel_axis
    if walk.lacks_batch(target):
        return 1 + (axis or 0) % rank_of(target)
    return channel_axis(target) or 1 if axis is None else axis % rank_of(target)


def _positions(walk: Walk) -> list[int]:
    rank, axis = rank_of(walk.path.target), _map_axis(walk)
    return [i for i in range(1, rank + walk.lacks_batch(walk.path.target)) if i != axis]


def _picture(walk: Walk) -> Tensor:
    """Return the picture that the map's layer depends on."""
    return default_target(walk.graph, walk.path.target)


def _picture_positions(walk: Walk, picture: Tensor) -> list[int]:
    axis, first = _picture_axis(walk, picture), 0 if walk.lacks_batch(picture) else 1
    return [i for i in range(first, rank_of(picture)) if i != axis]


def _picture_axis(walk: Walk, picture: Tensor) -> int:
    if walk.lacks_batch(picture):
        shape = shape_of(picture)
        return rank_of(picture) - 1 if shape[0] not in (1, 3) and shape[-1] in (1, 3) else 0
    return 3 if has_channels_last(picture) else channel_axis(picture) or 1
