"""The baseline, the reference that stands for an absent picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.graphops.errors import OptionError

__all__ = ["baseline_row"]


def baseline_row(
    own: Mapping[str, Any], shape: tuple[int, ...], axis: int = 0
) -> npt.NDArray[np.float32]:
    """Return the baseline in the shape of an image. Raises OptionError where it does not fit.

    own: the method's options. axis: the image's channel axis, along which a list of numbers lies.
    """
    baseline = own.get("baseline")
    values = np.asarray(0 if baseline is None else baseline, np.float32)
    if values.ndim == 1 and len(shape) > 1:
        values = values.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    try:
        return np.broadcast_to(values, shape)
    except ValueError as e:
        raise OptionError(
            f"a baseline of shape {list(values.shape)} does not fit {list(shape)}: give an array "
            "of that shape, without a batch axis, a number, or one number per channel"
        ) from e
