"""Reading --preprocess and --labels: how pictures become inputs, and what classes are called."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxplain.cli.failures import UsageError

if TYPE_CHECKING:
    from onnxplain.engine import Preprocess

__all__ = ["PREPROCESS_HELP", "read_labels", "read_preprocess"]

PREPROCESS_HELP = (
    "a preset (imagenet, unit, signed, raw, raw_bgr, caffe, gray, gray_raw), or KEY=VALUE pairs, "
    "or both: 'raw,size=240x320,mean=127,std=128'. Keys: size (height x width), crop (none or "
    "center), color (RGB, BGR or GRAY), mean, std (one number or one per channel), scale. "
    "value = (pixel * scale - mean) / std. Default: what the model's metadata says, else a guess "
    "that is told"
)


def read_preprocess(text: str | None) -> Preprocess | None:
    """Parse 'PRESET', 'KEY=VALUE,KEY=VALUE' or 'PRESET,KEY=VALUE'. Pairs alone change 'raw'.

    Raises OptionError or UsageError.
    """
    from onnxplain.engine.preprocess import Preprocess, preset

    if text is None:
        return None
    name, *pairs = re.split(r"[,;\s]+(?=\w+=)", text.strip())
    if "=" in name:
        pairs.insert(0, name)
        chosen = Preprocess()
    else:
        chosen = preset(name)
    values = {}
    for pair in pairs:
        key, value = pair.split("=", 1)
        if key not in _PARSERS:
            raise UsageError(f"no preprocessing key '{key}': choose from {', '.join(_PARSERS)}")
        try:
            values[key] = _PARSERS[key](value)
        except (ValueError, ZeroDivisionError) as e:
            raise UsageError(f"cannot read '{pair}' in --preprocess: {_EXAMPLES[key]}") from e
    return replace(chosen, **values)


def read_labels(path: str | None) -> list[str] | None:
    """Read class names by channel: one name per line, or `index,name` on every line.

    Raises MissingFile or InputError.
    """
    from onnxplain.graphops.errors import InputError, MissingFile

    if path is None:
        return None
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as e:
        raise InputError(f"the labels '{path}' are not UTF-8 text: give one name per line") from e
    except OSError as e:
        raise MissingFile(f"cannot read the labels '{path}': {e.strerror}") from e
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"the labels '{path}' are empty: give one name per line")
    numbered = [re.match(r"\s*(\d{1,7})\s*[,\t](.*)", line) for line in lines if line.strip()]
    if not all(numbered):
        return [line.strip() for line in lines]
    names = {int(match[1]): match[2].strip() for match in numbered if match}
    return [names.get(index, "") for index in range(max(names) + 1)]


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    return int(height), int(width or height)


def _number(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(_number(part) for part in re.split(r"[,:\s]+", text))


_PARSERS: dict[str, Callable[[str], Any]] = {
    "size": _size,
    "crop": str,
    "color": str.upper,
    "mean": _numbers,
    "std": _numbers,
    "scale": _number,
}
_EXAMPLES = {
    "size": "write size=224 or size=240x320, height first",
    "mean": "write mean=127 or mean=0.5,0.5,0.5",
    "std": "write std=128 or std=0.2,0.2,0.2",
    "scale": "write scale=0.5 or scale=1/255",
}
