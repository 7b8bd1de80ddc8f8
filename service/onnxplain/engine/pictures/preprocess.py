"""Preprocessing: a picture is fitted to a size, its channels are ordered, its values scaled."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from onnxplain.graphops.errors import OptionError, nearest

__all__ = ["PRESETS", "Preprocess", "parse"]

COLORS = ("RGB", "BGR", "GRAY")
CROPS = ("none", "center")
MAX_TEXT = 1000  # characters of a preprocessing's text; splitting takes quadratic time
MAX_PIXELS = 2**26  # 800 MB as float32 in three channels


@dataclass(frozen=True)
class Preprocess:
    """The preprocessing of a picture: value = (pixel * scale - mean) / std.

    size: height and width in pixels; None for the network's, or else the picture's own.
    crop: "none" stretches the picture to `size`; "center" keeps its aspect ratio and crops to the
        centre.
    color: "RGB", "BGR" or "GRAY", the order of the network's channels.
    mean, std: one number, or one per channel in the order of `color`.
    scale: the factor for pixels of 0 to 255.
    """

    size: tuple[int, int] | None = None
    crop: str = "none"
    color: str = "RGB"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the fields. Raises OptionError."""
        if self.size is not None:
            object.__setattr__(self, "size", _size(self.size))
        if self.color not in COLORS:
            raise OptionError(f"no color '{self.color}': choose one of {', '.join(COLORS)}")
        if self.crop not in CROPS:
            raise OptionError(f"no crop '{self.crop}': choose one of {', '.join(CROPS)}")
        for name in ("mean", "std"):
            object.__setattr__(self, name, self._channel_values(name, getattr(self, name)))
        if not all(self.std):
            raise OptionError(f"std is {self.std}: it divides, so it must not be 0")
        object.__setattr__(self, "scale", _number("scale", self.scale))

    @property
    def channels(self) -> int:
        """The number of channels of the network's input."""
        return 1 if self.color == "GRAY" else 3

    def fit(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Fit a picture to the size, and make it grey for "GRAY".

        Args:
            picture: uint8 [H, W, 3].

        Returns:
            The picture as the network sees it, uint8 [height, width, 3].

        Raises:
            TypeError: the picture is no such array.
        """
        image = Image.fromarray(picture)
        if self.color == "GRAY":
            image = image.convert("L").convert("RGB")
        if self.size is None:
            return np.asarray(image)
        height, width = self.size
        if self.crop == "center":
            image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        elif image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image)

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
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Preprocess:
        """Return the preprocessing of a JSON text.

        Args:
            text: an object with exactly the names of the fields as keys.

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
        if not isinstance(values, dict) or set(values) != names:
            raise OptionError(
                f"the preprocessing must be a JSON object with the keys {', '.join(sorted(names))}"
            )
        return cls(**values)

    def _channel_values(self, name: str, value: object) -> tuple[float, ...]:
        values = value if isinstance(value, (tuple, list)) else (value,)
        if len(values) not in (1, self.channels):
            raise OptionError(
                f"{name} has {len(values)} values for {self.channels} channels: give one, or one "
                "per channel"
            )
        return tuple(_number(name, v) for v in values)


def parse(text: str) -> Preprocess:
    """Read 'PRESET', 'KEY=VALUE,KEY=VALUE' or 'PRESET,KEY=VALUE', such as 'raw_bgr,size=224x224'.

    The keys are the fields of Preprocess; without a preset they change 'raw'. Raises OptionError.
    """
    if len(text) > MAX_TEXT:
        raise OptionError(f"the preprocessing has {len(text):,} characters: at most {MAX_TEXT:,}")
    name, *pairs = re.split(r"[,;\s]+(?=\w+=)", text.strip())
    if "=" in name:
        pairs.insert(0, name)
        name = "raw"
    if name not in PRESETS:
        raise OptionError(f"no preprocessing '{name}' ({nearest(name, PRESETS, len(PRESETS))})")
    values = {}
    for pair in pairs:
        key, value = pair.split("=", 1)
        if key not in _READERS:
            raise OptionError(f"no preprocessing key '{key}': choose from {', '.join(_READERS)}")
        try:
            values[key] = _READERS[key](value)
        except (ValueError, ZeroDivisionError) as e:
            raise OptionError(f"cannot read the preprocessing '{pair}': {_EXAMPLES[key]}") from e
    return replace(PRESETS[name], **values)


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


_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # ImageNet's mean blue, green and red

PRESETS: Mapping[str, Preprocess] = MappingProxyType(
    {
        "imagenet": Preprocess(
            crop="center", mean=_IMAGENET_MEAN, std=_IMAGENET_STD, scale=1 / 255
        ),
        "unit": Preprocess(scale=1 / 255),
        "signed": Preprocess(scale=2 / 255, mean=(1.0,)),
        "raw": Preprocess(),
        "raw_bgr": Preprocess(color="BGR"),
        "caffe": Preprocess(crop="center", color="BGR", mean=_CAFFE_MEAN),
        "gray": Preprocess(color="GRAY", scale=1 / 255),
        "gray_raw": Preprocess(color="GRAY"),
    }
)


def _read_size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    return int(height), int(width or height)


def _read_number(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def _read_numbers(text: str) -> tuple[float, ...]:
    return tuple(_read_number(part) for part in re.split(r"[,:\s]+", text))


_READERS: dict[str, Callable[[str], Any]] = {
    "size": _read_size,
    "crop": str,
    "color": str.upper,
    "mean": _read_numbers,
    "std": _read_numbers,
    "scale": _read_number,
}
_EXAMPLES = {
    "size": "write size=224 or size=240x320, height first",
    "mean": "write mean=127 or mean=0.5,0.5,0.5",
    "std": "write std=128 or std=0.2,0.2,0.2",
    "scale": "write scale=0.5 or scale=1/255",
}
