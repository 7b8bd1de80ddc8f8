"""Pad and CenterCropPad, which add or remove a border."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    known_value,
    optional_input,
    rank_of,
)
from onnxplain.graphops.operators import roles
from onnxplain.graphops.operators.axes import UNKNOWN, Fields, of_first, optional_value
from onnxplain.graphops.operators.batching import (
    axes_by_attribute,
    beside_batch,
    first_input,
    known_input,
)
from onnxplain.graphops.operators.constructors import NOT_FOLLOWED
from onnxplain.graphops.operators.gather import add_along, axis_size, index_range
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.rules import Signals, to_first
from onnxplain.graphops.operators.slicing import numbered_axes
from onnxplain.graphops.operators.window_layout import Placed, Slide, as_map, map_shape, refuse

__all__ = ["OPERATORS"]


def _pad(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Crop the padding; the signals of copied elements add up at the elements they copy."""
    x, pads = n.inputs[0], n.inputs[1]
    mode, axes = attribute(n, "mode", "constant"), optional_input(n, 3)
    if mode == "constant":
        listed = [axes] if axes is not None else []
        return to_first(n, op.Pad(g, op.Neg(pads), 0.0, *listed))
    rank = rank_of(x)
    numbers, known = numbered_axes(n, axes, pads, rank), known_value(pads)
    for i, axis in enumerate(numbers):
        last = i + len(numbers)
        if known is not None and known[i] == known[last] == 0:
            continue
        both = op.Concat(op.Slice(pads, [i], [i + 1]), op.Slice(pads, [last], [last + 1]), axis=0)
        size = axis_size(op, x, axis)
        copied = op.Pad(index_range(op, size), both, mode=mode)
        g = add_along(op, g, copied, axis, rank, size)
    return to_first(n, g)


def _pad_batch(node: Node, batched: list[bool]) -> bool:
    if not first_input(node, batched):
        return False
    axes = known_input(node, 3)
    if axes is not None and beside_batch(axes, node.inputs[0]):
        return True
    pads = known_input(node, 1)
    if pads is None or len(node.inputs) > 3:
        return False
    return bool(pads[0] == 0 and pads[len(pads) // 2] == 0)


@of_first
def _pad_axes(node: Node, fields: Fields) -> Fields:
    """Each axis begins in its padding; copied elements count as padding too."""
    pads, axes = known_value(node.inputs[1]), optional_value(node, 3)
    if pads is None or axes is UNKNOWN:
        return {i: field.windowed(1, 1, None) for i, field in fields.items()}
    before = np.zeros(rank_of(node.inputs[0]), np.int64)
    before[slice(None) if axes is None else axes] = pads[: pads.size // 2]
    return {i: field.windowed(1, 1, -int(before[i])) for i, field in fields.items()}


def _pad_slide(slide: Slide, node: Node) -> Placed:
    x, pads = slide.data(node), known_value(node.inputs[1])
    sizes = map_shape(node)
    if pads is None or len(sizes) != 1 + len(x.window):
        refuse(node, "pads by unknown amounts")
    node.inputs[0] = as_map(slide.op, node, x)
    if np.any(pads):
        slide.padded.append(node.name)
    return Placed(node.outputs[0], sizes[0], tuple(sizes[1:]), x.stride)


def _center_crop_pad(op: Emitter, n: Node, g: Tensor) -> Signals:
    """The inverse crops what was padded and pads what was cropped, also about the centre."""
    axes = attribute(n, "axes")
    size = op.shape(n.inputs[0])
    size = op.Gather(size, list(axes)) if axes is not None else size
    return op.CenterCropPad(g, size, **n.attrs), None


OPERATORS: dict[str, Operator] = {
    "CenterCropPad": Operator(
        _center_crop_pad,
        batch=axes_by_attribute,
        axes=NOT_FOLLOWED,
        slide=Without("its centre is that of one window"),
        roles=roles.same,
    ),
    "Pad": Operator(_pad, batch=_pad_batch, axes=_pad_axes, slide=_pad_slide, roles=roles.same),
}
