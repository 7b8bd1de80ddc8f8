"""Operators that keep or reverse a part: Slice, Trilu, ReverseSequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    dtype_of,
    known_value,
    optional_input,
    rank_of,
    shape_of,
)
from onnxplain.graphops.operators import sliding
from onnxplain.graphops.operators.axes import UNKNOWN, Fields, of_first, optional_value
from onnxplain.graphops.operators.batching import beside_batch, first_input, known_input
from onnxplain.graphops.operators.constructors import NOT_FOLLOWED
from onnxplain.graphops.operators.gather import add_along, axis_size, index_range
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.roles import (
    Lines,
    Places,
    Size,
    grid,
    of_data,
    place_axes,
    same,
    unknown,
    unlocated,
)
from onnxplain.graphops.operators.rules import Signals, to_first
from onnxplain.graphops.operators.window_layout import Index, Placed, refuse

__all__ = ["OPERATORS", "numbered_axes"]

FAR = 2**31 - 1  # an end beyond every axis


def _slice(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Add the signal into zeros, axis by axis, at the positions that Slice picks."""
    x = n.inputs[0]
    rank = rank_of(x)
    starts, ends = n.inputs[1], n.inputs[2]
    axes, steps = optional_input(n, 3), optional_input(n, 4)
    numbers = numbered_axes(n, axes, starts, rank)
    for i, axis in enumerate(numbers):
        start, end = op.Slice(starts, [i], [i + 1]), op.Slice(ends, [i], [i + 1])
        step = [op.Slice(steps, [i], [i + 1])] if steps is not None else []
        size = axis_size(op, x, axis)
        positions = index_range(op, size)
        picked = op.Slice(positions, start, end, op.constant([0], dtype_of(starts)), *step)
        g = add_along(op, g, picked, axis, rank, size)
    return to_first(n, g)


def _slice_batch(node: Node, batched: list[bool]) -> bool:
    """Axis 0 is not among the axes, or is kept whole."""
    if not first_input(node, batched):
        return False
    starts, ends, axes, steps = (known_input(node, i) for i in (1, 2, 3, 4))
    if optional_input(node, 3) is not None:
        if axes is None:
            return False
        if beside_batch(axes, node.inputs[0]):
            return True
    if starts is None or ends is None or (steps is None and len(node.inputs) > 4):
        return False
    if axes is not None and 0 not in axes:
        return False
    i = 0 if axes is None else int(np.flatnonzero(axes == 0)[0])
    whole = starts[i] == 0 and ends[i] >= FAR
    return bool(whole and (steps is None or steps[i] == 1))


@of_first
def _slice_axes(node: Node, fields: Fields) -> Fields:
    starts = known_value(node.inputs[1])
    axes, steps = (optional_value(node, i) for i in (3, 4))
    if starts is None or axes is UNKNOWN or steps is UNKNOWN:
        return {}
    numbers = np.arange(starts.size) if axes is None else axes % rank_of(node.inputs[0])
    steps = np.ones_like(starts) if steps is None else steps
    seen = dict(fields)
    for axis, start, step in zip(numbers.tolist(), starts.tolist(), steps.tolist(), strict=True):
        if axis in fields and start >= 0 and step > 0:
            seen[axis] = fields[axis].windowed(1, step, start)
        else:
            seen.pop(axis, None)
    return seen


@of_data
def _slice_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    """Of places and class tokens, either may be left; other parts keep the role of their axis."""
    result = same(node, [lines], output)
    starts, ends = (known_value(node.inputs[i]) for i in (1, 2))
    axes, steps = (optional_value(node, i) for i in (3, 4))
    if starts is None or ends is None or axes is UNKNOWN or steps is UNKNOWN:
        return result
    numbers = np.arange(starts.size) if axes is None else axes % len(lines)
    for axis, start, end in zip(numbers.tolist(), starts.tolist(), ends.tolist(), strict=True):
        places, size = place_axes(lines[axis]), shape_of(node.inputs[0])[axis]
        cut = _cut_off(start, end, size)
        if places is None or cut is None or (steps is not None and (steps != 1).any()):
            continue
        if cut[0] <= places.before and cut[1] <= places.after:
            left = replace(places, before=places.before - cut[0], after=places.after - cut[1])
            result[axis] = lines[axis] if left == places else grid(left, output, axis)
        elif isinstance(size, int) and _is_outside(cut, places, size):
            result[axis] = unknown(output)[axis]
        elif not result[axis]:  # a single place
            result[axis] = unlocated(output, axis)
    return result


def _cut_off(start: int, end: int, size: Size) -> tuple[int, int] | None:
    """Return how many entries a part lacks before and after it, None where that is not known."""
    if isinstance(size, int):
        first, last, _ = slice(start, end).indices(size)
        return first, size - last
    back = 0 if end >= FAR else -end
    return (start, back) if start >= 0 and back >= 0 else None


def _is_outside(cut: tuple[int, int], places: Places, size: int) -> bool:
    """Tell whether a part that lacks so many entries holds no place."""
    return size - cut[1] <= places.before or size - cut[0] <= places.after


@sliding.picked
def _slice_slide(node: Node, x: Placed, known: list[np.ndarray]) -> Index:
    starts, ends, *rest = known
    size = x.order.ndim + 1
    axes = rest[0] % size if rest else np.arange(starts.size)
    steps = rest[1] if len(rest) > 1 else np.ones_like(starts)
    parts = [slice(None)] * size
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 0 or axis == 0:
            refuse(node, "reverses the window, or picks single images of a batch")
        parts[axis] = slice(int(start), int(end), int(step))
    return x.order[tuple(parts[1:])]


def _trilu(op: Emitter, n: Node, g: Tensor) -> Signals:
    return to_first(n, op.Trilu(g, *n.inputs[1:], **n.attrs))


def _trilu_batch(node: Node, batched: list[bool]) -> bool:
    return first_input(node, batched) and len(node.inputs[0].shape or ()) > 2


def _reverse_sequence(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Reversing twice is the identity."""
    return op.ReverseSequence(g, n.inputs[1], **n.attrs), None


def numbered_axes(n: Node, axes: Tensor | None, per_axis: Tensor, rank: int) -> list[int]:
    """Return the axes of a Slice or a Pad, counted from 0."""
    if axes is None:
        count = per_axis.shape[0] if per_axis.shape else rank
        return list(range(rank if n.op == "Pad" or not isinstance(count, int) else count))
    values = known_value(axes)
    if values is None:
        raise UnsupportedOperator(
            f"the axes of {n.op} '{n.name}' are not constant: export the model with fixed axes"
        )
    return [int(a) % rank for a in values]


OPERATORS: dict[str, Operator] = {
    "ReverseSequence": Operator(
        _reverse_sequence,
        batch=Without(
            "its lengths, one for each image, fix the number of images if they are constant"
        ),
        axes=Without("positions run backwards, which no offset and stride describes"),
        slide=Without("it reverses the positions of a window"),
        roles=same,
    ),
    "Slice": Operator(
        _slice, batch=_slice_batch, axes=_slice_axes, slide=_slice_slide, roles=_slice_roles
    ),
    "Trilu": Operator(
        _trilu,
        batch=_trilu_batch,
        axes=NOT_FOLLOWED,
        slide=Without("its diagonal is that of one window"),
        roles=same,
    ),
}
