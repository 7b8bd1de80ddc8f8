"""Presets of preprocessing, and the text that names one: 'raw_bgr,size=224x224'."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from onnxplain.engine.pictures.preprocess import Preprocess
from onnxplain.graphops.errors import OptionError, nearest

__all__ = ["PRESETS", "parse"]

MAX_TEXT = 1000  # characters of a preprocessing's text; splitting takes quadratic time


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
    preset = PRESETS[name]
    if "size" in values:
        preset = preset.at(values["size"])
    return replace(preset, **values)


_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # ImageNet's mean blue, green and red

PRESETS: Mapping[str, Preprocess] = MappingProxyType(
    {
        "imagenet": Preprocess(
            crop="center", mean=_IMAGENET_MEAN, std=_IMAGENET_STD, scale=1 / 255
        ),
        "torchvision": Preprocess(
            crop="center", mean=_IMAGENET_MEAN, std=_IMAGENET_STD, scale=1 / 255, resize=256
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
    "resize": int,
    "interpolation": str.lower,
}
_EXAMPLES = {
    "size": "write size=224 or size=240x320, height first",
    "mean": "write mean=127 or mean=0.5,0.5,0.5",
    "std": "write std=128 or std=0.2,0.2,0.2",
    "scale": "write scale=0.5 or scale=1/255",
    "resize": "write resize=256",
}
