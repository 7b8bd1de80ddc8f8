"""How far attributions keep to their method's conservation law, by their completeness errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["INCOMPLETE", "is_incomplete", "is_noise"]

INCOMPLETE = 0.01  # relative completeness error above which an attribution is incomplete
ROUNDING = 1e-5  # of the attribution's absolute sum: what rounding in float32 may add up to
NOISE = 1e-4  # an absolute sum below this part of what was to arrive is rounding noise

Values = npt.NDArray[Any]


def is_incomplete(
    attribution: Values, error: Values, tolerance: float = INCOMPLETE
) -> npt.NDArray[np.bool_]:
    """Tell which attributions [units, ...] miss the sum that their law demands.

    That sum, Σ attribution − error, is the relevance at the layer for LRP, and f(x) − f(baseline)
    for integrated gradients and DeepLIFT. An error counts where it exceeds `tolerance` times that
    sum, and rounding.
    """
    total, strength = _sums(attribution)
    excess = np.abs(error) > tolerance * np.abs(total - error)
    return np.asarray(excess & (np.abs(error) > ROUNDING * strength))


def is_noise(attribution: Values, error: Values) -> npt.NDArray[np.bool_]:
    """Tell which attributions [units, ...] are what rounding leaves of a sum that cancelled."""
    total, strength = _sums(attribution)
    return np.asarray((strength > 0) & (strength < NOISE * np.abs(total - error)))


def _sums(attribution: Values) -> tuple[Values, Values]:
    """Return the sum of each attribution, and that of its absolute values, [units] each."""
    flat = attribution.reshape(len(attribution), -1)
    return flat.sum(axis=1, dtype=np.float64), np.abs(flat).sum(axis=1, dtype=np.float64)
