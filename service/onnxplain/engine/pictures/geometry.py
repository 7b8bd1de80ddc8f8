"""The geometry of preprocessing: how a picture is resized and cropped, and what remains of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from PIL import Image, ImageOps

from onnxplain.graphops.errors import PictureError

__all__ = [
    "INTERPOLATIONS", "MAX_PIXELS", "Box", "Size", "centred", "covering_box", "cropped_box",
]  # fmt: skip

Size = tuple[int, int]  # height and width
Box = tuple[float, float, float, float]  # top, left, bottom and right

INTERPOLATIONS: Mapping[str, Image.Resampling] = MappingProxyType(
    {
        "nearest": Image.Resampling.NEAREST,
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
    }
)
MAX_PIXELS = 2**26  # 800 MB as float32 in three channels


def centred(image: Image.Image, size: Size, shorter: int | None, how: str) -> Image.Image:
    """Resize a picture without changing its aspect ratio, and crop it to the centre.

    shorter: the shorter side before the crop; None for the smallest that covers `size`. how: the
    interpolation. What lies outside the picture is black. Raises PictureError where a very long
    picture would exceed MAX_PIXELS before the crop.
    """
    height, width = size
    if shorter is None:
        return ImageOps.fit(image, (width, height), INTERPOLATIONS[how])
    resized = _resized_size((image.height, image.width), shorter)
    if resized[0] * resized[1] > MAX_PIXELS:
        raise PictureError(
            f"a picture of {image.width}x{image.height} pixels has {resized[1]}x{resized[0]} when "
            f"its shorter side is {shorter}, over {MAX_PIXELS:,} in all: cut it to a part"
        )
    if resized != (image.height, image.width):
        image = image.resize((resized[1], resized[0]), INTERPOLATIONS[how])
    top, left = (_offset(n, kept) for n, kept in zip(resized, size, strict=True))
    return image.crop((left, top, left + width, top + height))


def covering_box(picture: Size, size: Size) -> Box:
    """Return the largest part in the centre of a picture that has the aspect ratio of `size`."""
    height, width = picture
    ratio = size[1] / size[0]
    kept_height, kept_width = min(height, width / ratio), min(width, height * ratio)
    top, left = (height - kept_height) / 2, (width - kept_width) / 2
    return top, left, top + kept_height, left + kept_width


def cropped_box(picture: Size, size: Size, shorter: int) -> Box:
    """Return the part of a picture that the crop after resizing leaves; it may reach outside."""
    resized = _resized_size(picture, shorter)
    vertical, horizontal = picture[0] / resized[0], picture[1] / resized[1]
    top, left = (_offset(n, kept) for n, kept in zip(resized, size, strict=True))
    return (
        top * vertical,
        left * horizontal,
        (top + size[0]) * vertical,
        (left + size[1]) * horizontal,
    )


def _resized_size(picture: Size, shorter: int) -> Size:
    """Return the size of a picture whose shorter side is `shorter`, rounded as torchvision does."""
    longer = int(shorter * max(picture) / min(picture))
    return (shorter, longer) if picture[0] <= picture[1] else (longer, shorter)


def _offset(available: int, kept: int) -> int:
    """Return where a centre crop starts, rounded as torchvision does; below 0 where it pads."""
    if kept > available:
        return -((kept - available) // 2)
    return round((available - kept) / 2)
