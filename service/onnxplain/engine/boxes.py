"""The receptive fields of units as boxes in the network's input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onnxplain.engine.pictures import required_inputs
from onnxplain.engine.run import Run
from onnxplain.graphops import Layer

__all__ = ["receptive_boxes", "receptive_frames", "unit_boxes"]

Array = npt.NDArray[np.int64]


def unit_boxes(run: Run, image: int, positions: Array | None) -> Array | None:
    """Return the boxes of units of one image, as `receptive_boxes` does.

    None where units have no position, the image is not a picture with height and width, or the
    receptive fields of the layer are those of another input.
    """
    picture, network = run.subject.input, run.opened.network
    if positions is None or len(picture.image_shape) != 3:
        return None
    every = required_inputs(network.model, network.unbatched)
    measured = [one for one in every if one.dtype.kind == "f" and len(one.shape) >= 3]
    if measured and measured[0] != picture:  # the rewriter measures from the first of them
        return None
    shape = run.rows[image].shape
    height, width = shape[:2] if picture.channels_last else shape[1:]
    return receptive_boxes(run.subject.layer, positions, (height, width))


def receptive_boxes(layer: Layer, positions: Array, size: tuple[int, int]) -> Array:
    """Return the receptive fields of positions, clipped to the picture.

    size: the picture's height and width in pixels. The others, and the result: as
    `receptive_frames`, except that no box is empty.
    """
    frames = receptive_frames(layer, positions, size)
    starts = np.clip(frames[:, :2], 0, np.array(size) - 1)
    return np.concatenate([starts, np.clip(frames[:, 2:], starts + 1, size)], axis=1)


def receptive_frames(layer: Layer, positions: Array, size: tuple[int, int]) -> Array:
    """Return the receptive fields of positions, with what of them lies outside the picture.

    An axis along which the receptive field covers everything, or is not known, is whole.

    positions: int64 [units, rank]. size: the picture's height and width in pixels.

    Returns int64 [units, 4]: top, left, bottom and right, the latter two exclusive.
    """
    frames = np.tile(np.array([0, 0, *size], np.int64), (len(positions), 1))
    if not (layer.receptive_field and layer.stride and layer.offset) or positions.shape[1] != 2:
        return frames
    for axis in range(2):
        field, stride, offset = (
            numbers[axis] for numbers in (layer.receptive_field, layer.stride, layer.offset)
        )
        if field is not None and stride is not None and offset is not None:
            frames[:, axis] = offset + positions[:, axis] * stride
            frames[:, axis + 2] = frames[:, axis] + field
    return frames
