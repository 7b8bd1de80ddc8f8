"""What stands for an absent picture, and where a picture's channels lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.pictures import Input
from onnxplain.graphops.errors import OptionError

__all__ = ["baseline_row", "channel_axis_of"]


def baseline_row(
    own: Mapping[str, Any], shape: tuple[int, ...], axis: int = 0
) -> npt.NDArray[np.float32]:
    """Return the baseline in a row's shape. Raises OptionError where it does not fit.

    own: the method's options. axis: that of the row's channels, each of which a list of numbers
    has one for.
    """
    given = own.get("baseline")
    values = np.asarray(0 if given is None else given, np.float32)
    if values.ndim == 1 and len(shape) > 1:
        values = values.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    try:
        return np.broadcast_to(values, shape)
    except ValueError as e:
        raise OptionError(
            f"a baseline of shape {list(values.shape)} does not fit {list(shape)}: give one of "
            "that shape, without a batch, a number, or one for each channel"
        ) from e


def channel_axis_of(target: Input) -> int:
    """Return the axis of a row [C, H, W] that its channels lie along."""
    return len(target.shape) - 2 if target.channels_last else 0
