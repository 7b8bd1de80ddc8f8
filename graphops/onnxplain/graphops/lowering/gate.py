"""The gate of a rectifier, g·[0 < y < a]."""

from __future__ import annotations

import math

import numpy as np

from onnxplain.graphops.ir import Emitter, Node, Tensor, known_number
from onnxplain.graphops.lowering.blocked import STEEP, channels_of, step

__all__ = ["gate"]


def gate(op: Emitter, node: Node) -> Tensor | None:
    """Return g·[0 < y < a] for Where(0 < y [and y < a], g, 0) of maps.

    A steep ramp of y, limited to 0 and 1, is 1 for every normal number above zero; that of a − y
    likewise. The bounds of docs/contract.md hold: no number below 1.2e-38, no NaN, no infinity.
    """
    condition, g, otherwise = node.inputs
    found = _bounds(condition)
    if known_number(otherwise) != 0 or found is None:
        return None
    y, upper = found
    if channels_of(y) is None or not _same_maps(g, y):
        return None
    passed = op.Mul(g, step(op, y, STEEP))
    if upper is not None:
        slope = 2.0 ** min(126, math.floor(math.log2(STEEP / upper)))  # keeps the sum exact
        passed = op.Mul(passed, step(op, y, -slope, slope * upper))
    return passed


def _same_maps(a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors are maps of the same channels and sizes, as far as is known."""
    return a.dtype == np.float32 and a.shape is not None and a.shape[1:] == (b.shape or [])[1:]


def _bounds(condition: Tensor) -> tuple[Tensor, float | None] | None:
    """Return y and the upper bound of a condition 0 < y, or 0 < y and y < bound."""
    test, upper = _maker(condition), None
    if test is not None and test.op == "And":
        test, less = map(_maker, test.inputs)
        if test is None or less is None or less.op != "Less":
            return None
        upper = known_number(less.inputs[1])
        if upper is None or not 0 < upper < math.inf or less.inputs[0] is not test.inputs[0]:
            return None
    if test is None or test.op != "Greater" or known_number(test.inputs[1]) != 0:
        return None
    return test.inputs[0], upper


def _maker(tensor: Tensor) -> Node | None:
    return tensor.inputs[0] if tensor.inputs else None
