"""Batch checks that several operators share.

A check is `(node, batched) -> bool`: whether axis 0 of the outputs is the batch axis, and no
image's values depend on another's. `batched` tells for each input whether its axis 0 is the batch
axis; the other inputs are the same for all images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnxplain.graphops.ir import Node, Tensor, attribute, is_constant, known_value
from onnxplain.graphops.operators.axes import UNKNOWN, given_axes

__all__ = [
    "along_axis", "axes_by_attribute", "beside_batch", "elementwise", "every_input", "first_input",
    "known_input", "over_axes", "starts_with_batch",
]  # fmt: skip


def first_input(node: Node, batched: list[bool]) -> bool:
    """Tell whether the first input is batched and no other is."""
    return batched[0] and not any(batched[1:])


def every_input(node: Node, batched: list[bool]) -> bool:
    """Tell whether all inputs are batched, so that each image has its own part of every input."""
    return all(batched)


def elementwise(node: Node, batched: list[bool]) -> bool:
    """Batched inputs must have the output's rank, so that their axis 0 is its axis 0."""
    highest = max((len(t.shape) for t in node.inputs if t.shape is not None), default=0)
    for tensor, is_batched in zip(node.inputs, batched, strict=True):
        if is_batched:
            rank = len(tensor.shape) if tensor.shape is not None else None
            if len(node.inputs) > 1 and rank != highest:
                return False
        elif tensor.shape and len(tensor.shape) == highest and tensor.shape[0] != 1:
            return False
    return True


def along_axis(default: int) -> Callable[[Node, list[bool]], bool]:
    """Return the check of operators that work along their attribute `axis`, which must not be 0."""

    def check(node: Node, batched: list[bool]) -> bool:
        axis = attribute(node, "axis", default)
        return first_input(node, batched) and beside_batch(axis, node.inputs[0])

    return check


def over_axes(node: Node, batched: list[bool]) -> bool:
    """Squeeze, Unsqueeze and reductions: axis 0 must not be among the axes."""
    axes = given_axes(node)
    if axes is UNKNOWN:
        return False
    if axes is None:
        return bool(attribute(node, "noop_with_empty_axes", 0))
    return beside_batch(axes, node.outputs[0] if node.op == "Unsqueeze" else node.inputs[0])


def axes_by_attribute(node: Node, batched: list[bool]) -> bool:
    """Operators that work on all axes unless an attribute names other axes than 0."""
    axes = attribute(node, "axes", attribute(node, "axis"))
    return first_input(node, batched) and axes is not None and beside_batch(axes, node.inputs[0])


def beside_batch(axes: Any, tensor: Tensor) -> bool:
    """Tell whether none of the axes is the tensor's axis 0."""
    rank = len(tensor.shape or ())
    return all(a > 0 or (a < 0 and a + rank > 0) for a in np.ravel(axes))


def known_input(node: Node, index: int) -> np.ndarray | None:
    """Return the value of an input, None where it is absent or depends on the images."""
    return known_value(node.inputs[index]) if len(node.inputs) > index else None


def starts_with_batch(sizes: Tensor, data: Tensor) -> bool:
    """Tell whether computed sizes begin with the size of axis 0 of `data`.

    Shape inference follows most forms of this, but not the Slice of a Shape that PyTorch writes.
    """
    node = sizes.inputs[0] if sizes.inputs else None
    if node is None:
        return False
    if node.op == "Shape":
        shape = node.inputs[0].shape
        batch = shape[0] if shape and not attribute(node, "start", 0) else None
        return bool(isinstance(batch, str) and data.shape and batch == data.shape[0])
    if node.op == "Slice":
        starts = node.inputs[1]
        if not is_constant(starts) or starts.values.ravel()[0] != 0:
            return False
    return node.op in ("Cast", "Concat", "Slice") and starts_with_batch(node.inputs[0], data)
