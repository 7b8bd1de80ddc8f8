"""Which places of the picture reach a layer through a tensor, and which tensors all pass through.

Behind the last attention of a network with a class token only that token reaches the class score:
at the tokens of the patches the gradient is zero.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxplain.graphops.analysis.axis_roles import Axes, Places
from onnxplain.graphops.analysis.kept_axes import kept_axis, places_of
from onnxplain.graphops.analysis.path import Path, signal_inputs
from onnxplain.graphops.ir import Node, Tensor, attribute, is_static, known_value, rank_of, reads

__all__ = ["Step", "passed_by_all", "steps_with_places"]

PICKS = {"Gather", "Slice", "Split"}
FAR = 2**31  # ends from here on are those of no axis: "to the end"


@dataclass(frozen=True)
class Step:
    """A node on a path, with its inputs through which places reach the layer, and its outputs.

    An input through which only class tokens do is left out, unless places reach it no further.
    """

    node: Node
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def steps_with_places(path: Path, axes: Mapping[str, Axes]) -> tuple[list[Step], set[str]]:
    """Return the path's nodes in order, and the tensors whose places reach the layer, by name."""
    needed = {path.layer.name: set(places_of(path.layer, axes))}
    wanted_by: list[tuple[Node, dict[str, set[int]], tuple[Tensor, ...]]] = []
    for node in reversed(path.nodes):
        outputs = tuple(t for t in node.outputs if t.name in needed)
        if not outputs:
            continue
        wanted: dict[str, set[int]] = {}
        for i, tensor in signal_inputs(node, path):
            mine = {
                a for a in places_of(tensor, axes) if _is_needed(node, i, a, outputs, needed, axes)
            }
            wanted.setdefault(tensor.name, set()).update(mine)
        for name, mine in wanted.items():
            needed.setdefault(name, set()).update(mine)
        wanted_by.append((node, wanted, outputs))
    steps = []
    for node, wanted, outputs in reversed(wanted_by):
        inputs = {t.name: t for _, t in signal_inputs(node, path)}
        kept = [t for name, t in inputs.items() if wanted[name] or not needed[name]]
        steps.append(Step(node, tuple(kept), outputs))
    return steps, {name for name, wanted in needed.items() if wanted}


def passed_by_all(steps: Sequence[Step], path: Path) -> list[tuple[int, Tensor]]:
    """Return the tensors through which every way of the places leads, with their steps' numbers."""
    between = _between(steps, path)
    unread: Counter[str] = Counter({path.layer.name: 1})
    used = [
        (i, step, {t.name for t in step.inputs} & between)
        for i, step in enumerate(steps)
        if any(t.name in between for t in step.outputs)
    ]
    for _, _, inputs in used:
        unread.update(inputs)
    passed, waiting = [], {path.target.name}
    for i, step, inputs in used:
        unread.subtract(inputs)
        outputs = [t for t in step.outputs if t.name in between]
        waiting = {name for name in waiting if unread[name]} | {t.name for t in outputs}
        if len(waiting) == 1 and outputs[0].name in waiting:
            passed.append((i, outputs[0]))
    return passed


def _between(steps: Sequence[Step], path: Path) -> set[str]:
    """Return the tensors that the places reach and from which they reach the layer."""
    reached, leading = {path.target.name}, {path.layer.name}
    for step in steps:
        if any(t.name in reached for t in step.inputs):
            reached.update(t.name for t in step.outputs)
    for step in reversed(steps):
        if any(t.name in leading for t in step.outputs):
            leading.update(t.name for t in step.inputs)
    return reached & leading


def _is_needed(
    node: Node,
    index: int,
    axis: int,
    outputs: tuple[Tensor, ...],
    needed: Mapping[str, set[int]],
    axes: Mapping[str, Axes],
) -> bool:
    """Tell whether the places along an input's axis reach the layer through any of the outputs."""
    places = places_of(reads(node)[index], axes)[axis]
    for output in outputs:
        if node.op in PICKS and not _picks_places(node, output, axis, places):
            continue
        kept = kept_axis(node, index, axis, output, axes)
        if kept not in places_of(output, axes) or kept in needed[output.name]:
            return True
    return False


def _picks_places(node: Node, output: Tensor, axis: int, places: Places) -> bool:
    """Tell whether any place along the axis may be among the entries that the node picks."""
    part = _picked(node, output, axis)
    if part is None:
        return True
    if not is_static(places.sizes):
        return any(not 0 <= i < places.before for i in part)
    end = places.before + math.prod(places.sizes)
    return any(places.before <= i % (end + places.after) < end for i in part)


def _picked(node: Node, output: Tensor, axis: int) -> Sequence[int] | None:
    """Return the entries that a node picks along an axis; None for all, or where not known."""
    tensor = node.inputs[0]
    rank, size = rank_of(tensor), (tensor.shape or [])[axis]
    if node.op == "Slice":
        return _sliced(node, axis, rank, size)
    if attribute(node, "axis", 0) % rank != axis:
        return None
    if node.op == "Gather":
        index = known_value(node.inputs[1])
        return None if index is None else [int(i) for i in index.ravel()]
    parts = [t.shape[axis] if t.shape else None for t in node.outputs]
    at = [t.name for t in node.outputs].index(output.name)
    if not is_static(parts[: at + 1]):
        return None
    start, end = (sum(int(n or 0) for n in parts[:i]) for i in (at, at + 1))
    return range(start, end)


def _sliced(node: Node, axis: int, rank: int, size: int | str | None) -> Sequence[int] | None:
    present = [i for i in range(1, len(node.inputs)) if not node.inputs[i].is_empty()]
    values = {i: known_value(node.inputs[i]) for i in present}
    starts, ends = values[1], values[2]
    if starts is None or ends is None or any(value is None for value in values.values()):
        return None
    axes, steps = values.get(3), values.get(4)
    numbers = list(range(starts.size)) if axes is None else [int(a) % rank for a in axes]
    if axis not in numbers:
        return None
    at = numbers.index(axis)
    start, end, step = int(starts[at]), int(ends[at]), 1 if steps is None else int(steps[at])
    if isinstance(size, int):
        return range(size)[start:end:step]
    return range(start, end, step) if start >= 0 and 0 <= end < FAR else None
