"""Preprocessing: a picture is fitted to a size, its channels are ordered, its values scaled."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.engine.pictures.geometry import (
    INTERPOLATIONS,
    MAX_PIXELS,
    Box,
    Size,
    centred,
    covering_box,
    cropped_box,
)
from onnxplain.graphops.errors import OptionError

__all__ = ["Preprocess"]

COLORS = ("RGB", "BGR", "GRAY")
CROPS = ("none", "center")
LATER = ("resize", "interpolation")  # fields that stored preprocessing names where not default
REFERENCE = 224  # the crop's side that `resize` is for where there is no size


@dataclass(frozen=True)
class Preprocess:
    """The preprocessing of a picture: value = (pixel * scale - mean) / std.

    size: height and width in pixels; None for the network's, or else the picture's own.
    crop: "none" stretches the picture to `size`; "center" keeps its aspect ratio and crops to the
        centre.
    color: "RGB", "BGR" or "GRAY", the order of the network's channels.
    mean, std: one number, or one per channel in the order of `color`.
    scale: the factor for pixels of 0 to 255.
    resize: the shorter side in pixels before the crop to the centre; None for the smallest that
        covers `size`. Without a size, that for a crop of 224, and in proportion for others.
    interpolation: "nearest", "bilinear", "bicubic" or "lanczos", antialiased as Pillow does.
    """

    size: tuple[int, int] | None = None
    crop: str = "none"
    color: str = "RGB"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    resize: int | None = None
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        """Check the fields. Raises OptionError."""
        if self.size is not None:
            object.__setattr__(self, "size", _size(self.size))
        for name, known in (
            ("color", COLORS), ("crop", CROPS), ("interpolation", tuple(INTERPOLATIONS))
        ):  # fmt: skip
            word = getattr(self, name)
            if word not in known:
                raise OptionError(f"no {name} '{word}': choose one of {', '.join(known)}")
        self._check_resize()
        for name in ("mean", "std"):
            object.__setattr__(self, name, self._channel_values(name, getattr(self, name)))
        if not all(self.std):
            raise OptionError(f"std is {self.std}: it divides, so it must not be 0")
        object.__setattr__(self, "scale", _number("scale", self.scale))

    @property
    def channels(self) -> int:
        """The number of channels of the network's input."""
        return 1 if self.color == "GRAY" else 3

    @property
    def of_fitted(self) -> Preprocess:
        """The preprocessing of pictures that are fitted already: it neither resizes nor crops."""
        return replace(self, crop="none", resize=None)

    def fit(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Fit a picture to the size, and make it grey for "GRAY".

        Args:
            picture: uint8 [H, W, 3].

        Returns:
            The picture as the network sees it, uint8 [height, width, 3].

        Raises:
            TypeError: the picture is no such array.
        """
        return np.asarray(self.fit_image(Image.fromarray(picture)))

    def fit_image(self, image: Image.Image) -> Image.Image:
        """Fit a picture as `fit` does, without copying it.

        Args:
            image: a Pillow image in mode RGB.

        Returns:
            The picture as the network sees it; the same object where nothing changes.

        Raises:
            PictureError: a very long picture would be too large before its crop.
        """
        if self.color == "GRAY":
            image = image.convert("L").convert("RGB")
        if self.size is None or (self.resize is None and image.size == self.size[::-1]):
            return image
        if self.crop == "center":
            return centred(image, self.size, self.resize, self.interpolation)
        return image.resize(self.size[::-1], INTERPOLATIONS[self.interpolation])

    def seen_box(self, height: int, width: int) -> Box:
        """Return the part of a picture that the network's input shows.

        Args:
            height: of the picture, in pixels.
            width: of the picture, in pixels.

        Returns:
            Top, left, bottom and right in pixels of the picture. They are outside it where `resize`
            is smaller than `size`, so that the input has a black border.
        """
        if self.size is None or self.crop == "none":
            return 0.0, 0.0, float(height), float(width)
        if self.resize is None:
            return covering_box((height, width), self.size)
        return cropped_box((height, width), self.size, self.resize)

    def at(self, size: Size | None) -> Preprocess:
        """Return the preprocessing for a size, with `resize` in proportion.

        Args:
            size: height and width in pixels; None for any, which is that of `resize`.

        Returns:
            The preprocessing.

        Raises:
            OptionError: the size is none.
        """
        if self.resize is None:
            return replace(self, size=size)
        before, after = self.size or (REFERENCE, REFERENCE), size or (REFERENCE, REFERENCE)
        resize = round(self.resize * max(after) / max(before))
        return replace(self, size=after, resize=max(resize, 1))

    def values(self, fitted: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the network's input for a fitted picture.

        Args:
            fitted: uint8 [H, W, 3], the result of `fit`.

        Returns:
            float32 [channels, H, W].

        Raises:
            IndexError, ValueError: the picture is no such array.
        """
        pixels = fitted.astype(np.float32)
        if self.color == "BGR":
            pixels = pixels[:, :, ::-1]
        elif self.color == "GRAY":
            pixels = pixels[:, :, :1]
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # a note reports values not finite
            scaled = (pixels * np.float32(self.scale) - mean) / std
        return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)

    def ends(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the lowest and the highest value that each channel can have, [channels] each."""
        pixels = np.repeat(np.array([[[0]], [[255]]], np.uint8), 3, axis=2)  # black above white
        values = self.values(pixels)[:, :, 0]
        return values.min(axis=1), values.max(axis=1)

    def pixels(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
        """Undo `values`: return the picture with these values, clipped to 0 to 255.

        Args:
            values: [channels, H, W] or [H, W, channels].

        Returns:
            uint8 [H, W, 3].

        Raises:
            ValueError: the values have another number of channels.
        """
        last = values if values.shape[0] != self.channels else values.transpose(1, 2, 0)
        mean, std = np.array(self.mean), np.array(self.std)
        with np.errstate(divide="ignore", invalid="ignore"):  # a scale of 0 leaves no picture
            pixels = np.nan_to_num((last.astype(np.float64) * std + mean) / self.scale)
        rgb = pixels[:, :, ::-1] if self.color == "BGR" else pixels
        whole = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
        return np.repeat(whole, 3, axis=2) if whole.shape[2] == 1 else whole

    def to_json(self) -> str:
        """Return the JSON text that `from_json` reads."""
        stored = asdict(self)
        for field in fields(self):
            if field.name in LATER and stored[field.name] == field.default:
                del stored[field.name]
        return json.dumps(stored)

    @classmethod
    def from_json(cls, text: str) -> Preprocess:
        """Return the preprocessing of a JSON text.

        Args:
            text: an object with the names of the fields as keys, of which `resize` and
                `interpolation` may be missing.

        Returns:
            The preprocessing.

        Raises:
            OptionError: the text is not such an object, or a value is invalid.
        """
        names = {field.name for field in fields(cls)}
        try:
            values = json.loads(text)
        except ValueError as e:
            raise OptionError(f"the preprocessing is not JSON: {e}") from e
        if not isinstance(values, dict) or not names - {*LATER} <= set(values) <= names:
            raise OptionError(
                f"the preprocessing must be a JSON object with the keys {', '.join(sorted(names))}"
            )
        return cls(**values)

    def _check_resize(self) -> None:
        if self.resize is None:
            return
        whole = type(self.resize) is int and 0 < self.resize**2 <= MAX_PIXELS
        if not whole:
            raise OptionError(f"resize is {self.resize!r}: give the shorter side in pixels")
        if self.crop != "center":
            raise OptionError(
                f"resize is {self.resize}, the shorter side before the crop: set crop=center too"
            )

    def _channel_values(self, name: str, value: object) -> tuple[float, ...]:
        values = value if isinstance(value, (tuple, list)) else (value,)
        if len(values) not in (1, self.channels):
            raise OptionError(
                f"{name} has {len(values)} values for {self.channels} channels: give one, or one "
                "per channel"
            )
        return tuple(_number(name, v) for v in values)


def _size(value: object) -> tuple[int, int]:
    if isinstance(value, (tuple, list)) and len(value) == 2:
        height, width = value
        whole = type(height) is int and type(width) is int
        if whole and min(value) > 0 and height * width <= MAX_PIXELS:
            return height, width
    raise OptionError(
        f"size is {value!r}: give height and width in pixels, such as (224, 224), and at most "
        f"{MAX_PIXELS:,} pixels in all"
    )


def _number(name: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise OptionError(f"{name} is {value!r}: give a finite number")
    return float(value)
