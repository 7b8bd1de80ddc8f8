"""The colours of attributions: scaled values, colour maps, pale pictures.

Every function is pure: arrays in, arrays or colour maps out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

__all__ = [
    "Pixels",
    "channels_last",
    "heat_colours",
    "is_picture",
    "limit_of",
    "map_colours",
    "pale",
    "reconstruction",
    "shrunk",
    "signed_colours",
    "signed_map",
    "strength",
]

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

PERCENTILE = 99.5  # of the magnitudes, drawn at full strength: a few extremes do not dim the rest
BLUR = 1 / 120  # of the longer side: joins the dots of a strided network, keeps its outlines
FINEST, COARSEST = 512, 224  # the longer side of a map of heat, before it is drawn
GREY = 127.5
RAMP = 0.75  # the power of the strength that is the opacity of heat: below 1, weak heat is yellow
SIGNED, HEAT = "RdBu_r", "YlOrRd"  # ColorBrewer's, which colour-blind readers can distinguish
# Of the colours of heat, without the near-white end, since it lies on a pale picture.
HEAT_RANGE = (0.2, 0.88)


def signed_map(attribution: Values) -> Floats:
    """Return one attribution [C, H, W], [H, W, C] or [H, W] summed over its channels, [H, W]."""
    return np.asarray(channels_last(attribution).sum(axis=2))


def strength(attribution: Values) -> Floats:
    """Return the Euclidean norm of an attribution over its channels, slightly blurred, [h, w].

    Large maps are reduced, and small ones enlarged, to a size that can be drawn over a picture.
    """
    values = np.ascontiguousarray(np.sqrt((channels_last(attribution) ** 2).sum(axis=2)))
    longer = max(values.shape)
    side = min(max(longer, COARSEST), FINEST)
    size = [max(1, round(n * side / longer)) for n in values.shape]
    how = Image.Resampling.BOX if longer > FINEST else Image.Resampling.BILINEAR
    highest = float(values.max()) or 1.0
    image = Image.fromarray(values / np.float32(highest)).resize((size[1], size[0]), how)
    # Pillow blurs bytes only; a thousandth of the range cannot be seen.
    wide = Image.fromarray(np.rint(255 * np.clip(np.asarray(image), 0, 1)).astype(np.uint8))
    blurred = np.asarray(wide.filter(ImageFilter.GaussianBlur(BLUR * side)), np.float32)
    return blurred * np.float32(highest / 255)


def is_picture(attribution: Values) -> bool:
    """Tell whether an attribution has the three channels of a colour picture."""
    return _channels(attribution) == 3


def reconstruction(values: Values, limit: float) -> Pixels:
    """Return values [H, W, 3] as a picture in which zero is mid-grey, and `limit` is white."""
    scaled = np.clip(values / np.float32(limit or 1.0), -1, 1)
    return np.rint(GREY + GREY * scaled).astype(np.uint8)


def limit_of(values: Values) -> float:
    """Return the magnitude that is drawn at full strength: a high percentile, 0 for zeros."""
    magnitude = np.abs(values).ravel("K")
    # The percentile of a sparse map can be zero: then the maximum scales it.
    return _percentile(magnitude, PERCENTILE / 100) or float(magnitude.max())


def _percentile(values: Values, share: float) -> float:
    """Return what `np.percentile` returns, in a fraction of its time: it sorts the highest only."""
    at = share * (values.size - 1)
    above = values.size - int(at)  # values from the percentile up
    sample = np.sort(values[:: max(1, values.size // 10_000)])
    high = values[values >= sample[int((1 - 2 * (1 - share)) * (len(sample) - 1))]]
    highest = np.sort(high if high.size >= above else values)[-above:]
    low, next_up = float(highest[0]), float(highest[min(1, above - 1)])
    return low + (at - int(at)) * (next_up - low)


def channels_last(attribution: Values) -> Floats:
    """Return [H, W, C], zeros for what is not finite; the channel axis has a size of 1 or 3."""
    values = np.asarray(attribution, np.float32)
    if not np.isfinite(values).all():
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    if values.ndim == 2:
        return values[:, :, None]
    return values if _has_channels_last(values) else values.transpose(1, 2, 0)


def shrunk(values: Values, height: float, width: float) -> Values:
    """Return values [H, W] or [H, W, C], averaged to at most a height and width in pixels."""
    size = (min(values.shape[0], max(1, round(height))), min(values.shape[1], max(1, round(width))))
    if size == values.shape[:2]:
        return values
    if values.dtype == np.uint8:
        return np.asarray(Image.fromarray(values).resize(size[::-1], Image.Resampling.BOX))
    planes = values[:, :, None] if values.ndim == 2 else values
    reduced = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(planes[:, :, c], np.float32)).resize(
                size[::-1], Image.Resampling.BOX
            )
        )
        for c in range(planes.shape[2])
    ]
    return np.stack(reduced, axis=2).reshape(*size, *values.shape[2:])


def pale(picture: Pixels) -> Pixels:
    """Return a picture in pale grey, the background of heat, [H, W, 3]."""
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float32)
    faint = np.rint(0.6 * grey + 0.4 * 255).astype(np.uint8)
    return np.repeat(faint[:, :, None], 3, axis=2)


def signed_colours(name: str | None) -> Colormap:
    """Return the colours of signed values: blue below zero, white at zero, red above."""
    from matplotlib import colormaps

    return colormaps[name or SIGNED].resampled(257)  # odd: zero has the middle colour


def map_colours(name: str | None, values: Values) -> tuple[Colormap, float]:
    """Return the colours of a map, and the lower end of its scale over the limit, -1 or 0.

    Of a map that is nowhere negative, from zero on: the upper half of colours around a bright
    middle, so that they keep their meaning, and all of another colour map.
    """
    from matplotlib.colors import ListedColormap

    colours = signed_colours(name)
    if float(values.min()) < 0 or not values.any():
        return colours, -1.0
    table = colours(np.linspace(_start(colours), 1, 257))
    return ListedColormap(table, name=f"{colours.name}-from-zero"), 0.0


def heat_colours(name: str | None, alpha: float, *, even: bool = False) -> Colormap:
    """Return the colours of magnitudes, from transparent yellow to dark red of an opacity.

    Of a colour map that is brightest in its middle, as those of signed values, the upper half.
    even: whether the weakest are half as opaque, rather than transparent.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    start, end = (0.0, 1.0) if name else HEAT_RANGE
    colours = colormaps[name or HEAT]
    if name:
        start = _start(colours)
    table = colours(np.linspace(start, end, 256))
    shares = np.linspace(0, 1, 256)
    table[:, 3] = alpha * ((1 + shares) / 2 if even else shares**RAMP)
    return ListedColormap(table, name=f"{colours.name}-heat")


def _start(colours: Colormap) -> float:
    """Return where positive values start in a colour map: in the middle of a diverging one."""
    low, middle, high = colours([0.0, 0.5, 1.0])[:, :3] @ (0.299, 0.587, 0.114)
    return 0.5 if middle > max(low, high) + 0.2 else 0.0


def _channels(attribution: Values) -> int:
    if attribution.ndim == 2:
        return 1
    return int(attribution.shape[2 if _has_channels_last(attribution) else 0])


def _has_channels_last(values: Values) -> bool:
    return values.shape[0] not in (1, 3) and values.shape[2] in (1, 3)
