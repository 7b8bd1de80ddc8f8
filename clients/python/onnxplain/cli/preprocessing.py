"""The values of --preprocess and --labels: the pictures' preprocessing and the classes' names."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PREPROCESS_HELP", "read_labels"]

PREPROCESS_HELP = (
    "a preset (imagenet, torchvision, unit, signed, raw, raw_bgr, caffe, gray, gray_raw), "
    "KEY=VALUE pairs, or both: 'raw,size=240x320,mean=127,std=128', 'torchvision,resize=232'. "
    "Keys: size (height x width), crop (none or center), resize (the shorter side before the "
    "crop), interpolation (bilinear, bicubic, lanczos or nearest), color (RGB, BGR or GRAY), mean, "
    "std (one number or one per channel), scale. "
    "value = (pixel * scale - mean) / std. Default: the model's metadata, else an assumption that "
    "is printed"
)


def read_labels(path: str | None) -> list[str] | None:
    """Read class names by channel: one name per line, or `index,name` on every line.

    Raises MissingFile or InputError.
    """
    from onnxplain.graphops.errors import InputError, MissingFile, missing_file

    if path is None:
        return None
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as e:
        raise InputError(f"the labels '{path}' are not UTF-8 text: give one name per line") from e
    except FileNotFoundError as e:
        raise missing_file(path, f"labels '{path}'") from e
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
