"""Where the channels of a layer are strongest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Positions", "peaks"]

Positions = npt.NDArray[np.int64]


def peaks(
    values: npt.NDArray[np.float32], channel_axis: int
) -> tuple[npt.NDArray[np.float32], Positions]:
    """Return each channel's maximum and its position, of several the first in row-major order.

    values: [images, ...] of a layer.

    Returns the maxima [images, channels] and their positions [images, channels, spatial rank].
    """
    moved = np.moveaxis(values, channel_axis, 1)
    flat = moved.reshape(*moved.shape[:2], -1)
    places = flat.argmax(axis=2)
    where = np.unravel_index(places, moved.shape[2:] or (1,))[: moved.ndim - 2]
    maxima = np.take_along_axis(flat, places[..., None], axis=2)[..., 0]
    positions = np.stack(where, axis=-1) if where else np.zeros((*places.shape, 0), np.int64)
    return maxima, positions.astype(np.int64)
