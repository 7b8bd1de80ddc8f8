"""A picture that is translated, scaled or rotated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["CHANGES", "changed"]

Pixels = npt.NDArray[np.uint8]

# The smallest and largest amount of each change, and its unit.
CHANGES: dict[str, tuple[float, float, str]] = {
    "translation": (-0.25, 0.25, "of the height, downwards"),
    "scale": (0.6, 1.8, "times"),
    "rotation": (0.0, 360.0, "degrees"),
}


def changed(pixels: Pixels, change: str, amount: float) -> Pixels:
    """Return the picture translated down, or scaled or rotated about its centre, by an amount."""
    height, width = pixels.shape[:2]
    row, column = height / 2, width / 2
    scale, turn, down = 1.0, 0.0, 0.0
    if change == "translation":
        down = amount * height
    elif change == "scale":
        scale = 1 / amount
    else:
        turn = np.deg2rad(amount)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    # From a pixel (x, y) of the result to its source, as Pillow expects it.
    matrix = (
        cos, -sin, column - cos * column + sin * (row + down),
        sin, cos, row - sin * column - cos * (row + down),
    )  # fmt: skip
    mean = tuple(int(v) for v in np.rint(pixels.reshape(-1, 3).mean(axis=0)))
    image = Image.fromarray(pixels).transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=mean
    )
    return np.asarray(image)
