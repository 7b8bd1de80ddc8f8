"""Pictures and maps in axes: a photograph, what the network sees of it, and what is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing.colormaps import Pixels, pale, shrunk

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["Box", "Frame", "dimmed", "mark", "prepared_axes", "show"]

Box = tuple[float, float, float, float]  # top, left, bottom, right

OUTSIDE = "#ececec"  # of what the network does not see, where no picture lies under a map
DIM = 0.5  # of a picture's colours remain where the network does not see it
MARK, LEAST_MARK = "#d62728", 0.03  # the colour of marks, and their least side over the frame's


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture, the part that a map covers, and the part that is shown, in the picture's pixels.

    size: the picture's height and width. seen: what the network sees, and so the map. window: what
    is shown. picture: uint8 [H, W, 3], None where there is none.
    """

    size: tuple[int, int]
    seen: Box
    window: Box
    picture: Pixels | None = None

    @classmethod
    def whole(
        cls, size: Sequence[int], picture: Pixels | None = None, seen: Box | None = None
    ) -> Frame:
        """Return the frame of a whole picture, which the network sees unless `seen` says less."""
        everything = (0.0, 0.0, float(size[0]), float(size[1]))
        return cls((size[0], size[1]), seen or everything, everything, picture)

    @property
    def everything(self) -> Box:
        """The box of the whole picture."""
        return 0.0, 0.0, float(self.size[0]), float(self.size[1])

    @property
    def aspect(self) -> float:
        """The height of what is shown over its width."""
        top, left, bottom, right = self.window
        return (bottom - top) / (right - left)

    def place(self, box: Sequence[float], size: Sequence[int]) -> Box:
        """Return a box in pixels of a map of a size, in pixels of the picture."""
        top, left, bottom, right = self.seen
        down, across = (bottom - top) / size[0], (right - left) / size[1]
        return (
            top + box[0] * down, left + box[1] * across,
            top + box[2] * down, left + box[3] * across,
        )  # fmt: skip

    def cropped(self, window: Box) -> Frame:
        """Return the frame that shows this part, as far as it lies in the picture."""
        top, left, bottom, right = window
        height, width = self.size
        inside = max(top, 0.0), max(left, 0.0), min(bottom, float(height)), min(right, float(width))
        return replace(self, window=inside)


def prepared_axes(ax: Axes, frame: Frame) -> None:
    """Give axes the frame's limits and no ticks."""
    top, left, bottom, right = frame.window
    ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], aspect="equal")
    ax.set_facecolor(OUTSIDE)


def show(
    ax: Axes,
    values: npt.NDArray[Any],
    extent: Box,
    frame: Frame,
    scaled: Callable[[npt.NDArray[Any], npt.NDArray[Any]], dict[str, Any]] = (
        lambda values, drawn: {"X": drawn}
    ),
    **how: Any,
) -> AxesImage:
    """Draw values [H, W] or [H, W, 3] that cover `extent`, at no more pixels than the axes have.

    scaled: returns arguments of `imshow` for the values in the frame's window and the same reduced
        to the pixels that are drawn, "X" among them.
    """
    values, extent = _visible(values, extent, frame.window)
    top, left, bottom, right = extent
    shown = frame.window
    pixels = ax.get_window_extent()
    down = pixels.height * (bottom - top) / (shown[2] - shown[0])
    across = pixels.width * (right - left) / (shown[3] - shown[1])
    arguments = scaled(values, shrunk(values, max(down, 1), max(across, 1)))
    image = ax.imshow(**arguments, extent=(left, right, bottom, top), **how)
    prepared_axes(ax, frame)
    return image


def dimmed(frame: Frame, colours: Callable[[Pixels], Pixels] = lambda picture: picture) -> Pixels:
    """Return the frame's picture, pale where the network does not see it."""
    if frame.picture is None:
        raise ValueError("the frame has no picture")
    picture, (height, width) = frame.picture, frame.size
    top, left, bottom, right = (round(n) for n in frame.seen)
    seen = (slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0)))
    if (top, left) <= (0, 0) and bottom >= height and right >= width:
        return colours(picture)
    faint = 255 - DIM * (255 - pale(picture).astype(np.float32))
    outside: Pixels = np.rint(faint).astype(np.uint8)
    outside[seen] = colours(np.ascontiguousarray(picture[seen]))
    return outside


def mark(ax: Axes, box: Box, frame: Frame, line: float) -> None:
    """Outline a place; a small one is outlined with a margin, so that it can be found."""
    from matplotlib.patches import Rectangle

    top, left, bottom, right = box
    least = LEAST_MARK * max(frame.window[2] - frame.window[0], frame.window[3] - frame.window[1])
    down, across = (max(0.0, least - side) / 2 for side in (bottom - top, right - left))
    ax.add_patch(
        Rectangle(
            (left - across, top - down), right - left + 2 * across, bottom - top + 2 * down,
            fill=False, edgecolor=MARK, linewidth=line,
        )
    )  # fmt: skip


def _visible(values: npt.NDArray[Any], extent: Box, window: Box) -> tuple[npt.NDArray[Any], Box]:
    """Return the values that are within a window, with a pixel around, and what they cover."""
    parts, ends = [], []
    for axis in range(2):
        start, stop, count = extent[axis], extent[axis + 2], values.shape[axis]
        step = (stop - start) / count
        first = int(np.clip(np.floor((window[axis] - start) / step) - 1, 0, count - 1))
        last = int(np.clip(np.ceil((window[axis + 2] - start) / step) + 1, first + 1, count))
        parts.append(slice(first, last))
        ends.append((start + first * step, start + last * step))
    (top, bottom), (left, right) = ends
    return values[parts[0], parts[1]], (top, left, bottom, right)
