"""How far attributions keep to their method's conservation law, by their completeness errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["INCOMPLETE", "is_incomplete", "is_noise"]

INCOMPLETE = 0.01  # relative completeness error above which an attribution is incomplete
NOISE = 1e-3  # an absolute sum below this part of what was to arrive may be rounding noise
CANCELLED = 0.5  # of noise, positive and negative values leave less than this part of their sum

Values = npt.NDArray[Any]


@np.errstate(invalid="ignore")  # of values that are not finite, nothing is told
def is_incomplete(
    attribution: Values, error: Values, tolerance: float = INCOMPLETE
) -> npt.NDArray[np.bool_]:
    """Tell which attributions [units, ...] miss the sum that their law demands.

    That sum, Σ attribution − error, is the relevance at the layer for LRP, and f(x) − f(baseline)
    for integrated gradients and DeepLIFT. An error counts where it exceeds `tolerance` times that.
    """
    demanded = attribution.reshape(len(error), -1).sum(axis=1, dtype=np.float64) - error
    return np.asarray(np.abs(error) > tolerance * np.abs(demanded))


@np.errstate(invalid="ignore")
def is_noise(attribution: Values, error: Values) -> npt.NDArray[np.bool_]:
    """Tell which attributions [units, ...] are what rounding leaves of a sum that cancelled.

    Of such a sum, values of both signs are left. A small map of one sign is what biases leave.
    """
    flat = attribution.reshape(len(error), -1)
    strength = np.abs(flat).sum(axis=1, dtype=np.float64)
    total = flat.sum(axis=1, dtype=np.float64)
    is_small = (strength > 0) & (strength < NOISE * np.abs(total - error))
    return np.asarray(is_small & (np.abs(total) < CANCELLED * strength))
