"""How each operator changes what the axes of its output see of the network's input.

The operators here have one input that the image reaches; the others are constants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Node, attribute, known_value
from onnxplain.graphops.operators.window import Window

__all__ = ["POOLS", "VIEWS", "Axis", "View", "without"]

POOLS = {"AveragePool", "LpPool", "MaxPool"}


@dataclass(frozen=True)
class Axis:
    """How an axis of a tensor lies over the input's axis `source`.

    Its position p sees `size` of the input's, from `offset + p·stride` on; None: nobody knows.
    """

    source: int
    size: int = 1
    stride: int = 1
    offset: int | None = 0

    def windowed(self, extent: int, stride: int, start: int | None) -> Axis:
        """Look through windows of this extent and stride, the first of which begins at `start`."""
        offset = None
        if self.offset is not None and start is not None:
            offset = self.offset + start * self.stride
        size = self.size + (extent - 1) * self.stride
        return Axis(self.source, size, self.stride * stride, offset)


# For those axes of a tensor that lie over one of the input's; it sees all of the input's others.
View: TypeAlias = dict[int, Axis]


def without(view: View, axes: Iterable[int]) -> View:
    """Return the view where positions on these axes see everything."""
    return {i: axis for i, axis in view.items() if i not in axes}


def _same(node: Node, view: View) -> View:
    return view


def _rows(node: Node, view: View) -> View:
    """Only images stay apart."""
    return {i: axis for i, axis in view.items() if i == 0}


def _window(node: Node, view: View) -> View:
    try:
        window = Window.of(node)
    except UnsupportedModel:  # the kernel's size is not known
        return _rows(node, view)
    pads = window.static_pads()
    before: Sequence[int | None] = pads[0] if pads is not None else [None] * len(window.kernel)
    starts = [None if pad is None else -pad for pad in before]
    return _rows(node, view) | _windowed(view, window.extent, window.strides, starts)


def _transposed_window(node: Node, view: View) -> View:
    """With stride 1 it is a convolution; with another, its positions do not see alike."""
    told = {"auto_pad", "output_padding", "output_shape"} & node.attrs.keys()
    if max(attribute(node, "strides", [1])) > 1 or told:
        return _rows(node, view)
    window = Window.of(node)
    pads = attribute(node, "pads", [0] * 2 * len(window.kernel))
    starts = [pad - extent + 1 for pad, extent in zip(pads, window.extent, strict=False)]
    return _rows(node, view) | _windowed(view, window.extent, window.strides, starts)


def _space_to_depth(node: Node, view: View) -> View:
    block = [attribute(node, "blocksize")] * 2
    return _rows(node, view) | _windowed(view, block, block, [0, 0])


def _windowed(
    view: View, extents: list[int], strides: list[int], starts: Sequence[int | None]
) -> View:
    windows = enumerate(zip(extents, strides, starts, strict=True), start=2)
    return {i: view[i].windowed(*window) for i, window in windows if i in view}


def _along_axis(default: int) -> Callable[[Node, View], View]:
    return lambda node, view: without(view, [_axis(node, default)])


def _from_axis(node: Node, view: View) -> View:
    return {i: axis for i, axis in view.items() if i < _axis(node, -1)}


def _standardized(node: Node, view: View) -> View:
    return without(view, attribute(node, "axes", [0, 2, 3]))


def _reduction(node: Node, view: View) -> View:
    axes = _axes(node)
    if not axes and attribute(node, "noop_with_empty_axes", 0):
        return view
    seen = without(view, axes or view.keys())
    return seen if attribute(node, "keepdims", 1) else _squeezed(seen, axes)


def _squeeze(node: Node, view: View) -> View:
    axes = _axes(node)
    return _squeezed(without(view, axes), axes) if axes else {}


def _squeezed(view: View, axes: list[int]) -> View:
    return {i - sum(a < i for a in axes): axis for i, axis in view.items()}


def _unsqueeze(node: Node, view: View) -> View:
    rank, added = len(node.outputs[0].shape), known_value(node.inputs[1])
    if added is None:
        return {}
    places = [i for i in range(rank) if i not in added % rank]
    return {places[i]: axis for i, axis in view.items()}


def _transpose(node: Node, view: View) -> View:
    order = attribute(node, "perm") or range(_rank(node))[::-1]
    return {to: view[i] for to, i in enumerate(order) if i in view}


def _reshape(node: Node, view: View) -> View:
    """Axes that keep their size, counted from the first or from the last, stay what they were."""
    before, after = node.inputs[0].shape, node.outputs[0].shape
    first = _agreeing(before, after)
    last = _agreeing(before[::-1], after[::-1])
    shift = len(after) - len(before)
    return {i: axis for i, axis in view.items() if i < first} | {
        i + shift: axis for i, axis in view.items() if i >= len(before) - last
    }


def _agreeing(before: list[int | str | None], after: list[int | str | None]) -> int:
    count = 0
    for a, b in zip(before, after, strict=False):
        if a is None or a != b:
            break
        count += 1
    return count


def _same_sizes(node: Node, view: View) -> View:
    before, after = node.inputs[0].shape, node.outputs[0].shape
    return {i: a for i, a in view.items() if before[i] is not None and before[i] == after[i]}


def _slice(node: Node, view: View) -> View:
    starts = known_value(node.inputs[1])
    axes, steps = (_optional(node, i) for i in (3, 4))
    if starts is None or axes is UNKNOWN or steps is UNKNOWN:
        return {}
    places = np.arange(starts.size) if axes is None else axes % _rank(node)
    steps = np.ones_like(starts) if steps is None else steps
    seen = dict(view)
    for axis, start, step in zip(places.tolist(), starts.tolist(), steps.tolist(), strict=True):
        if axis in view and start >= 0 and step > 0:
            seen[axis] = view[axis].windowed(1, step, start)
        else:
            seen.pop(axis, None)
    return seen


def _pad(node: Node, view: View) -> View:
    """Begin in what is put before; copies of what is inside count as padding too."""
    rank, pads, axes = _rank(node), known_value(node.inputs[1]), _optional(node, 3)
    if pads is None or axes is UNKNOWN:
        return {i: axis.windowed(1, 1, None) for i, axis in view.items()}
    before = np.zeros(rank, np.int64)
    before[np.arange(rank) if axes is None else axes] = pads[: pads.size // 2]
    return {i: axis.windowed(1, 1, -int(before[i])) for i, axis in view.items()}


def _gather(node: Node, view: View) -> View:
    """The indices' axes stand in the place of the one that was picked from."""
    axis, added = _axis(node, 0), len(node.inputs[1].shape) - 1
    return {i + added * (i > axis): a for i, a in view.items() if i != axis}


def _matmul(node: Node, view: View) -> View:
    rank, shift = _rank(node), len(node.outputs[0].shape) - _rank(node)
    return {i + shift: axis for i, axis in view.items() if i < rank - 1} if shift >= 0 else {}


def _gemm(node: Node, view: View) -> View:
    return {} if attribute(node, "transA", 0) else _rows(node, view)


def _rank(node: Node) -> int:
    return len(node.inputs[0].shape)


def _axis(node: Node, default: int) -> int:
    return int(attribute(node, "axis", default)) % _rank(node)


def _axes(node: Node) -> list[int]:
    """Return the axes of a reduction or a Squeeze; all of them where they are not known."""
    given = attribute(node, "axes")
    axes = _optional(node, 1) if given is None else np.array(given)
    if axes is UNKNOWN:
        return list(range(_rank(node)))
    return [] if axes is None else (axes % _rank(node)).tolist()


UNKNOWN = np.empty(0)


def _optional(node: Node, index: int) -> np.ndarray | None:
    """Return the value of an input, None where the node has none, UNKNOWN where it is computed."""
    if len(node.inputs) <= index or node.inputs[index].is_empty():
        return None
    value = known_value(node.inputs[index])
    return UNKNOWN if value is None else value.ravel()


# What is not here sees everything.
VIEWS: dict[str, Callable[[Node, View], View]] = {
    **dict.fromkeys(("BatchNormalization", "LRN"), _same),
    **dict.fromkeys(("Conv", *POOLS), _window),
    **dict.fromkeys(
        ("DepthToSpace", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "GroupNormalization",
         "InstanceNormalization"), _rows
    ),
    **dict.fromkeys(("LogSoftmax", "LpNormalization", "Softmax"), _along_axis(-1)),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _from_axis),
    **dict.fromkeys(
        ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
         "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"), _reduction
    ),
    **dict.fromkeys(("Flatten", "Reshape"), _reshape),
    "ConvTranspose": _transposed_window,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MeanVarianceNormalization": _standardized,
    "Pad": _pad,
    "Resize": _same_sizes,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _along_axis(0),
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}  # fmt: skip
