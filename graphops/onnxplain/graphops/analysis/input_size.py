"""Fixing the picture's height and width where the model leaves them free."""

from __future__ import annotations

import math

from onnxplain.graphops.analysis.axis_roles import has_channels_last
from onnxplain.graphops.analysis.landmarks import default_target
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.ir import Graph

__all__ = ["resize_input"]

MOST_PIXELS = 2**32  # so that every count of multiply-adds fits 64 bits


def resize_input(graph: Graph, size: tuple[int, ...]) -> None:
    """Set the sizes of the picture's spatial axes, in place.

    Raises OptionError where a size is below 1 or the picture too large, UnsupportedModel where the
    model fixes another size.
    """
    if min(size) < 1 or math.prod(size) > MOST_PIXELS:
        raise OptionError(
            f"a picture of {'x'.join(map(str, size))} pixels: choose sizes from 1, and at most "
            f"{MOST_PIXELS:,} pixels in total"
        )
    picture = default_target(graph)
    shape = list(picture.shape or ())
    axes = range(1, 3) if has_channels_last(picture) else range(2, len(shape))
    if len(axes) != len(size):
        raise UnsupportedModel(
            f"the input '{picture.name}' has {len(axes)} spatial axes, not {len(size)}"
        )
    for axis, wanted in zip(axes, size, strict=True):
        if isinstance(shape[axis], int) and shape[axis] != wanted:
            raise UnsupportedModel(
                f"the input '{picture.name}' has the fixed size {shape[axis]}, not {wanted}: leave "
                "the size out, or export the model with a free one"
            )
        shape[axis] = wanted
    picture.shape = shape
