"""What of a picture a drawing of an explanation shows, and where its maps lie."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnxplain.engine.drawing import Box, Frame, Style
from onnxplain.engine.drawing import frame_of as picture_frame

if TYPE_CHECKING:
    from onnxplain.engine.explanation import Explanation

__all__ = ["frame_of", "marks_of", "network_size", "window_of"]

MARKS = 100  # the most places that are outlined in a picture
SMALL = 4  # a receptive field of at most one in so many of the picture's side is shown enlarged
MARGIN = 1.7  # the side of what is then shown over that of the receptive field


def frame_of(one: Explanation, image: int, style: Style) -> Frame:
    """Return the frame of an image: its photograph, or the picture as the network sees it."""
    pictures = one.shown_pictures()
    if not pictures:
        return Frame.whole(_map_size(one))
    photograph = one.photographs[image] if one.photographs else None
    return picture_frame(pictures[image], photograph, one.preprocess, style)


def window_of(one: Explanation, image: int, unit: int) -> Box | None:
    """Return what is shown of a unit that sees little, in pixels of the network; None for all.

    As wide for all units, so that their scales are the same.
    """
    if one.box is None or one.box.shape[2:] != (4,):
        return None
    size = network_size(one, image)
    if size != _map_size(one):
        return None
    sides = (one.box[:, :, 2:] - one.box[:, :, :2]).reshape(-1, 2).max(axis=0)
    if sides.min() < 1 or SMALL * sides.max() > max(size):
        return None
    side = min(math.ceil(MARGIN * int(sides.max())), *size)
    box = one.box[image, unit]
    starts = [
        int(np.clip((box[axis] + box[axis + 2] - side) // 2, 0, size[axis] - side))
        for axis in range(2)
    ]
    top, left = starts
    return float(top), float(left), float(top + side), float(left + side)


def marks_of(one: Explanation, image: int, frame: Frame) -> list[Box]:
    """Return the places that are outlined in the picture: what its units see, if it is little."""
    units = one.channels.shape[1]
    if one.box is None or units > MARKS or window_of(one, image, 0) is None:
        return []
    size = network_size(one, image)
    return [frame.place(box, size) for box in one.box[image].tolist()]


def network_size(one: Explanation, image: int) -> tuple[int, int]:
    """Return the height and width of the network's input, as far as they are known."""
    pictures = one.shown_pictures()
    return pictures[image].shape[:2] if pictures else _map_size(one)


def _map_size(one: Explanation) -> tuple[int, int]:
    shape = one.attribution.shape[2:]
    if len(shape) == 2:
        return shape[0], shape[1]
    last = shape[0] not in (1, 3) and shape[2] in (1, 3)
    return (shape[0], shape[1]) if last else (shape[1], shape[2])
