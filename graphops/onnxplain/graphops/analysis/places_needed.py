"""Which places of the picture reach a layer through a tensor.

Behind the last attention of a network with a class token only that token reaches the class score:
at the tokens of the patches the gradient is zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxplain.graphops.analysis.axes import Axes, Places
from onnxplain.graphops.analysis.path import Path
from onnxplain.graphops.ir import Node, Tensor, attribute, known_value, rank_of, reads
from onnxplain.graphops.operators import AxisField, Fields, SizesOnly, Without, operator_of
from onnxplain.graphops.operators.axes import optional_value

__all__ = ["Step", "passed_by_all", "steps_with_places", "with_images_first"]

REGROUPS = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
PICKS = {"Gather", "Slice", "Split"}
ATTENTION = {"Attention", "MultiHeadAttention"}


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
    needed = {path.layer.name: set(_places(path.layer, axes))}
    wanted_by: list[tuple[Node, dict[str, set[int]], tuple[Tensor, ...]]] = []
    for node in reversed(path.nodes):
        outputs = tuple(t for t in node.outputs if t.name in needed)
        if not outputs:
            continue
        wanted: dict[str, set[int]] = {}
        for i, tensor in _signal_inputs(node, path):
            mine = {
                a for a in _places(tensor, axes) if _is_needed(node, i, a, outputs, needed, axes)
            }
            wanted.setdefault(tensor.name, set()).update(mine)
        for name, mine in wanted.items():
            needed.setdefault(name, set()).update(mine)
        wanted_by.append((node, wanted, outputs))
    steps = []
    for node, wanted, outputs in reversed(wanted_by):
        inputs = {t.name: t for _, t in _signal_inputs(node, path)}
        kept = [t for name, t in inputs.items() if wanted[name] or not needed[name]]
        steps.append(Step(node, tuple(kept), outputs))
    return steps, {name for name, wanted in needed.items() if wanted}


def with_images_first(path: Path) -> set[str]:
    """Return the names of the tensors on the path whose axis 0 runs over the images, as far as known.

    Unlike `track_batch`, it follows the axis to other places and back, as in attention.
    """
    known = {path.target.name: 0}
    for node in path.nodes:
        for i, tensor in _signal_inputs(node, path):
            axis = known.get(tensor.name)
            found = None if axis is None else _image_axis(node, i, axis)
            if found is not None:
                known.update((t.name, found) for t in node.outputs)
                break
    return {name for name, axis in known.items() if axis == 0}


def _image_axis(node: Node, index: int, axis: int) -> int | None:
    """Return the axis of the node's outputs that runs over the images, from that of an input."""
    operator = operator_of(node)
    if node.op in ("Flatten", "Reshape"):
        states = [i == index for i in range(len(node.inputs))]
        keeps = operator is not None and callable(operator.batch) and operator.batch(node, states)
        before, after = reads(node)[index].shape, node.outputs[0].shape
        keeps = keeps or bool(before and after and before[0] == after[0] is not None)
        return 0 if axis == 0 and keeps else None
    return _aligned(node, index, axis, node.outputs[0])


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


def _places(tensor: Tensor, axes: Mapping[str, Axes]) -> Mapping[int, Places]:
    return axes[tensor.name].places if tensor.name in axes else {}


def _signal_inputs(node: Node, path: Path) -> list[tuple[int, Tensor]]:
    operator = operator_of(node)
    type_only = operator.type_only if operator is not None else ()
    indexed = [(i, t) for i, t in enumerate(reads(node)) if i not in type_only]
    return [(i, t) for i, t in indexed if t.name in path.tensors]


def _is_needed(
    node: Node,
    index: int,
    axis: int,
    outputs: tuple[Tensor, ...],
    needed: Mapping[str, set[int]],
    axes: Mapping[str, Axes],
) -> bool:
    """Tell whether the places along an input's axis reach the layer through any of the outputs."""
    tensor = reads(node)[index]
    for output in outputs:
        if node.op in PICKS and not _picks_places(node, output, axis, _places(tensor, axes)[axis]):
            continue
        kept = _kept_axis(node, index, axis, output, axes)
        if kept not in _places(output, axes) or kept in needed[output.name]:
            return True
    return False


def _kept_axis(
    node: Node, index: int, axis: int, output: Tensor, axes: Mapping[str, Axes]
) -> int | None:
    """Return the output's axis along which entries stay apart as along the input's; None: mixed."""
    tensor = reads(node)[index]
    if node.op in REGROUPS:
        return _regrouped(axis, _places(tensor, axes), _places(output, axes))
    return _aligned(node, index, axis, output)


def _aligned(node: Node, index: int, axis: int, output: Tensor) -> int | None:
    """As `_kept_axis`, for operators other than those that regroup axes."""
    tensor = reads(node)[index]
    if tensor.shape is None or output.shape is None or index >= len(node.inputs):
        return None
    rank, out_rank = rank_of(tensor), rank_of(output)
    if node.op in ("Concat", "Slice", "Split"):
        return axis
    if node.op == "MatMul" and rank > 1:
        return None if axis == rank - 1 - index else axis + out_rank - rank
    if node.op in ATTENTION:  # one row for each query
        return axis + out_rank - rank if index == 0 and axis == rank - 2 else None
    return _followed(node, index).get(axis)


def _regrouped(
    axis: int, before: Mapping[int, Places], after: Mapping[int, Places]
) -> int | None:
    """Return the axis in the same place of the order in which the picture's axes follow."""
    order, new_order = _in_order(before), _in_order(after)
    if [source for source, _ in order] != [source for source, _ in new_order]:
        return None
    pairs = zip(order, new_order, strict=True)
    return next((new for (_, old), (_, new) in pairs if old == axis), None)


def _in_order(places: Mapping[int, Places]) -> list[tuple[int, int]]:
    return [(source, axis) for axis in sorted(places) for source in places[axis].axes]


def _followed(node: Node, index: int) -> dict[int, int]:
    """Return by the input's axes those of the output, as the facts on receptive fields tell."""
    operator = operator_of(node)
    if operator is None or isinstance(operator.axes, Without | SizesOnly):
        return {}
    if any(t.shape is None for t in node.inputs if not t.is_empty()):
        return {}
    fields: list[Fields | None] = [None] * len(node.inputs)
    fields[index] = {a: AxisField(a) for a in range(rank_of(node.inputs[index]))}
    return {field.source: a for a, field in operator.axes(node, fields).items()}


def _picks_places(node: Node, output: Tensor, axis: int, places: Places) -> bool:
    """Tell whether any place along the axis is among the entries that the node picks."""
    part = _picked(node, output, axis)
    count = 1
    for size in places.sizes:
        if not isinstance(size, int):
            return part is None or len(part) == 0 or max(part) >= places.before
        count *= size
    if part is None:
        return True
    total = places.before + count + places.after
    chosen = [i % total if -total <= i < total else i for i in part]
    return any(places.before <= i < places.before + count for i in chosen)


def _picked(node: Node, output: Tensor, axis: int) -> range | list[int] | None:
    """Return the entries that a node picks along an axis; None for all, or where not known."""
    tensor = node.inputs[0]
    rank = rank_of(tensor)
    if node.op == "Gather":
        index = known_value(node.inputs[1])
        if index is None or attribute(node, "axis", 0) % rank != axis:
            return None
        return [int(i) for i in index.ravel()]
    if node.op == "Split":
        sizes = [t.shape[axis] if t.shape else None for t in node.outputs]
        if attribute(node, "axis", 0) % rank != axis or None in sizes:
            return None
        at = [t.name for t in node.outputs].index(output.name)
        before = [size for size in sizes[: at + 1] if isinstance(size, int)]
        return range(sum(before[:-1]), sum(before)) if len(before) == at + 1 else None
    starts, ends = known_value(node.inputs[1]), known_value(node.inputs[2])
    axes, steps = optional_value(node, 3), optional_value(node, 4)
    if starts is None or ends is None or (axes is not None and not axes.size):
        return None
    numbers = range(starts.size) if axes is None else [int(a) % rank for a in axes]
    if axis not in numbers:
        return None
    at = list(numbers).index(axis)
    step = 1 if steps is None or not steps.size else int(steps[at])
    size = tensor.shape[axis] if tensor.shape else None
    if isinstance(size, int):
        return range(*slice(int(starts[at]), int(ends[at]), step).indices(size))
    start, end = int(starts[at]), int(ends[at])
    return range(start, end, step) if 0 <= start and 0 <= end < 1 << 16 else None
