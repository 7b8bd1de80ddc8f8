"""Axes that a node keeps: along which each entry of its output depends on the same of an input."""

from __future__ import annotations

import math
from collections.abc import Mapping

from onnxplain.graphops.analysis.axis_roles import Axes, Places
from onnxplain.graphops.analysis.path import Path, signal_inputs
from onnxplain.graphops.ir import Node, Tensor, is_static, rank_of, reads, shape_of
from onnxplain.graphops.operators import AxisField, Fields, SizesOnly, Without, operator_of

__all__ = ["kept_axis", "places_of", "with_images_first"]

REGROUPS = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}


def places_of(tensor: Tensor, axes: Mapping[str, Axes]) -> Mapping[int, Places]:
    """Return the places of the picture along the tensor's axes."""
    return axes[tensor.name].places if tensor.name in axes else {}


def kept_axis(
    node: Node, index: int, axis: int, output: Tensor, axes: Mapping[str, Axes]
) -> int | None:
    """Return the output's axis that keeps the places along an input's apart; None: they mix."""
    tensor = reads(node)[index]
    if node.op in REGROUPS:
        return _regrouped(axis, places_of(tensor, axes), places_of(output, axes))
    return _aligned(node, index, axis, output)


def _aligned(node: Node, index: int, axis: int, output: Tensor) -> int | None:
    """As `kept_axis`, for any axis, and for operators other than those that regroup axes."""
    tensor = reads(node)[index]
    if tensor.shape is None or output.shape is None or index >= len(node.inputs):
        return None
    rank, out_rank = rank_of(tensor), rank_of(output)
    if node.op in ("Concat", "Slice", "Split"):
        return axis
    if node.op == "MatMul" and rank > 1:
        return None if axis == rank - 1 - index else axis + out_rank - rank
    if node.op in ("Attention", "MultiHeadAttention"):  # one row for each query
        return axis + out_rank - rank if index == 0 and axis == rank - 2 else None
    return _followed(node, index).get(axis)


def _regrouped(axis: int, before: Mapping[int, Places], after: Mapping[int, Places]) -> int | None:
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


def with_images_first(path: Path, axes: Mapping[str, Axes]) -> set[str]:
    """Return the names of the tensors on the path whose axis 0 certainly runs over the images.

    Unlike `track_batch`, it follows the axis to other places and back, as in attention, and through
    a merge with another axis. In a network of one image without a batch axis, they are all tensors;
    where the batch is fixed at 1, they include all with an axis 0 of size 1.
    """
    if path.target.name in axes and not axes[path.target.name].batched:
        return set(path.tensors)
    # The axis, and whether it runs over nothing but the images, or over parts of each in turn.
    known = {path.target.name: (0, True)}
    for node in path.nodes:
        for i, tensor in signal_inputs(node, path):
            if tensor.name not in known:
                continue
            axis, alone = known[tensor.name]
            if node.op in ("Flatten", "Reshape"):
                found = None if axis else 0
                alone = alone and _keeps_images(node, i, axes)
                alone = alone or _has_as_many(node.outputs[0], path.target)
            else:
                found = _aligned(node, i, axis, node.outputs[0])
            if found is not None and (alone or found == 0):
                known.update((t.name, (found, alone)) for t in node.outputs)
                break
    first = (path.target.shape or [None])[0]
    made = [t for node in path.nodes for t in node.outputs if first == 1 and t.shape]
    single = {t.name for t in made if shape_of(t)[0] == 1}
    return single | {name for name, axis in known.items() if axis == (0, True)}


def _has_as_many(tensor: Tensor, picture: Tensor) -> bool:
    """Tell whether axis 0 of both tensors has the same size."""
    if not tensor.shape or not picture.shape:
        return False
    return tensor.shape[0] is not None and tensor.shape[0] == picture.shape[0]


def _keeps_images(node: Node, index: int, axes: Mapping[str, Axes]) -> bool:
    """Tell whether a Reshape keeps the images on axis 0, where they are."""
    tensor, output = reads(node)[index], node.outputs[0]
    if not tensor.shape or not output.shape:
        return False
    count = _entries_per_image(tensor, axes)
    if count is not None and count == _entries_per_image(output, axes):
        return True
    operator = operator_of(node)
    batch = operator.batch if operator is not None else None
    states = [i == index for i in range(len(node.inputs))]
    return _has_as_many(output, tensor) or (callable(batch) and batch(node, states))


def _entries_per_image(tensor: Tensor, axes: Mapping[str, Axes]) -> int | None:
    """Return the product of the sizes of all axes but the first, None where not known."""
    count, places = 1, places_of(tensor, axes)
    for axis, size in enumerate(shape_of(tensor)[1:], start=1):
        sizes = places[axis].sizes if axis in places else ()
        if not isinstance(size, int) and axis in places and is_static(sizes):
            size = places[axis].before + math.prod(sizes) + places[axis].after
        if not isinstance(size, int):
            return None
        count *= size
    return count
