"""What a node keeps of its input: the axis that it reduces, the rows that it cuts out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxplain.graphops.analysis.axis_roles import Axes
from onnxplain.graphops.ir import Node, Shape, Tensor, attribute, known_value, optional_input

__all__ = ["axis_of", "drops_batch", "drops_channels", "kept_rows", "same_axes", "size_of", "total"]


def axis_of(node: Node) -> int | None:
    """Return the only axis along which a node reduces, chooses or normalises, if it is known."""
    rank = len(node.inputs[0].shape or ())
    axes = attribute(node, "axes")
    if node.op in ("ArgMax", "Softmax", "LogSoftmax", "TopK"):
        axes = [attribute(node, "axis", 0 if node.op == "ArgMax" else -1)]
    elif axes is None and (given := optional_input(node, 1)) is not None:
        axes = _numbers(given)
    return axes[0] % rank if rank and axes is not None and len(axes) == 1 else None


def kept_rows(node: Node, output: Tensor) -> tuple[int, int, int] | None:
    """Return the axis, first and last row that a Slice or Split keeps, if these are constant."""
    rank = len(node.inputs[0].shape or ())
    if not rank or node.op not in ("Slice", "Split"):
        return None
    if node.op == "Split":
        axis = attribute(node, "axis", 0) % rank
        sizes = [size_of(t, axis) for t in node.outputs]
        index = next(i for i, t in enumerate(node.outputs) if t is output)
        start, stop = total(sizes[:index]), total(sizes[: index + 1])
        return None if start is None or stop is None else (axis, start, stop)
    given = [optional_input(node, i) for i in (1, 2, 3, 4)]
    start, stop, axis, step = (
        default if t is None else _number(t)
        for t, default in zip(given, (None, None, 0, 1), strict=True)
    )
    if start is None or stop is None or axis is None or step != 1:
        return None
    size = size_of(node.inputs[0], axis % rank)
    if not isinstance(size, int):
        return None if start < 0 or stop < 0 else (axis % rank, start, stop)
    start, stop = (n + size if n < 0 else min(n, size) for n in (start, stop))
    return axis % rank, start, stop


def _number(tensor: Tensor) -> int | None:
    """Return the only integer of a constant, else None."""
    numbers = _numbers(tensor)
    return numbers[0] if numbers is not None and len(numbers) == 1 else None


def size_of(tensor: Tensor, axis: int) -> int | str | None:
    """Return the size of one of a tensor's axes, None where it is unknown."""
    return None if tensor.shape is None else tensor.shape[axis]


def _numbers(tensor: Tensor) -> tuple[int, ...] | None:
    """Return the integers of a constant, None for a tensor that is computed from the picture."""
    value = known_value(tensor)
    return None if value is None else tuple(int(n) for n in np.ravel(value))


def drops_batch(node: Node) -> bool:
    """Tell whether a Squeeze, a Reshape, or a Gather of one image removes axis 0."""
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if node.op == "Gather":
        indices = node.inputs[1].shape
        one = before is not None and before[:1] == [1] and indices is not None and not len(indices)
        return one and attribute(node, "axis", 0) in (0, -len(before or ()))
    if node.op == "Squeeze":
        axes = _numbers(node.inputs[1]) if optional_input(node, 1) is not None else None
        if axes is not None and before is not None:
            return 0 in {a % len(before) for a in axes}
        return before is not None and before[:1] == [1]
    if node.op == "Reshape" and before is not None and after is not None:
        return len(before) == 2 and len(after) == 1 and before[0] == 1 and after[0] == before[1]
    return False


def drops_channels(node: Node, before: Axes, after: Axes) -> bool:
    """Tell whether the node removes the channel axis of a map of one channel.

    before, after: the axes of its input and output.
    """
    if after.certain or not before.certain or before.channel is None:
        return False
    return size_of(node.inputs[0], before.channel) == 1


def same_axes(before: Shape | None, after: Shape | None) -> dict[int, int]:
    """Return, by the axes of a reshaped tensor, those of its input that are the same.

    These are the first axes, and the last ones, up to where the sizes differ.
    """
    if before is None or after is None:
        return {}
    found: dict[int, int] = {}
    for old, new, step in ((0, 0, 1), (len(before) - 1, len(after) - 1, -1)):
        while 0 <= old < len(before) and 0 <= new < len(after):
            if before[old] is None or before[old] != after[new]:
                break
            found.setdefault(new, old)
            old, new = old + step, new + step
    return found


def total(sizes: Sequence[int | str | None]) -> int | None:
    """Return the sum of sizes, None where one is unknown."""
    known = [size for size in sizes if isinstance(size, int)]
    return sum(known) if len(known) == len(sizes) else None
