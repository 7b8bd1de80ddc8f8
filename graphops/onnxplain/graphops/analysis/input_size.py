"""Giving the picture the size that a model leaves free."""

from __future__ import annotations

import math

from onnxplain.graphops.analysis.landmarks import default_target
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.ir import Graph

__all__ = ["resize_input"]

MOST_PIXELS = 2**32  # so that every count of products is a number of 64 bits


def resize_input(graph: Graph, size: tuple[int, ...]) -> None:
    """Give the picture's spatial axes these sizes.

    Raises OptionError where they are none or too large, UnsupportedModel where they are fixed.
    """
    if min(size) < 1 or math.prod(size) > MOST_PIXELS:
        raise OptionError(
            f"a picture of {'x'.join(map(str, size))} pixels: give sizes from 1, and at most "
            f"{MOST_PIXELS:,} pixels in all"
        )
    picture = default_target(graph)
    shape = list(picture.shape or ())
    last = len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3)
    axes = list(range(1, len(shape) - 1)) if last else list(range(2, len(shape)))
    if len(axes) != len(size):
        raise UnsupportedModel(
            f"the input '{picture.name}' has {len(axes)} spatial axes: give as many sizes"
        )
    for axis, wanted in zip(axes, size, strict=True):
        if isinstance(shape[axis], int) and shape[axis] != wanted:
            raise UnsupportedModel(
                f"the input '{picture.name}' has the fixed size {shape[axis]}, not {wanted}: leave "
                "the size out, or export the model with a free one"
            )
        shape[axis] = wanted
    picture.shape = shape
