"""Max-pooling backward by comparing, all in the blocked layout: `unpool` "comparison".

A pool over rows and columns is one over columns, then one over rows. Along one axis, the signal of
each window is offered to the window's elements in their order: the first that equals the maximum
takes it, and what is left goes to the next. So no indices are computed, which cost more than the
rest of the pool, and signals that meet in one element are added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    known_value,
    optional_input,
)
from onnxplain.graphops.lowering.blocked import (
    STEEP,
    channels_of,
    depthwise,
    interleaved,
    scaled,
    sizes_of,
    step,
)
from onnxplain.graphops.operators import Window

__all__ = ["compares", "max_pool"]

FAR = 2.0**126  # added where a window's element lies outside of the maps
MOST = 8  # elements of a window along one axis: each adds ten nodes


@dataclass(frozen=True)
class Line:
    """The windows along one axis: `count` windows of `kernel` elements over `size` elements.

    axis: 2 or 3. pad: the elements before the first that the first window has.
    """

    axis: int
    kernel: int
    stride: int
    pad: int
    size: int
    count: int

    def along(self, along: int, across: int = 1) -> list[int]:
        """Return two numbers for height and width."""
        return [along, across] if self.axis == 2 else [across, along]

    def pads(self, before: int, after: int) -> list[int]:
        """Return padding before and after the line, as an attribute."""
        return [*self.along(before, 0), *self.along(after, 0)]

    def one_hot(self, length: int, at: int, value: float = 1.0) -> np.ndarray:
        """Return a kernel along the line with one element that is not zero."""
        kernel = np.zeros(length)
        kernel[at] = value
        return kernel.reshape(self.along(length))


def compares(node: Node) -> bool:
    """Tell whether the form fits a MaxPool: maps of known sizes in whole blocks of channels."""
    x, y = node.inputs[0], node.outputs[0]
    if channels_of(x) is None or channels_of(y) is None or _has_infinite_border(x):
        return False
    if sizes_of(x) is None or sizes_of(y) is None:
        return False
    window = Window.of(node)
    pads = window.static_pads()
    if pads is None or max(window.dilations) > 1 or max(window.kernel) > MOST:
        return False
    return max(window.kernel) > 1 and 0 not in (*(sizes_of(x) or []), *(sizes_of(y) or []))


def _has_infinite_border(x: Tensor) -> bool:
    """Tell whether maps are padded by infinity, or perhaps so: filters would make NaN of it."""
    node = x.inputs[0] if x.inputs else None
    border = optional_input(node, 2) if node is not None and node.op == "Pad" else None
    if border is None:
        return False
    value = known_value(border)
    return value is None or not np.isfinite(value).all()


def max_pool(op: Emitter, node: Node, g: Tensor) -> Tensor:
    """Return the signal at a MaxPool's input: each goes to its window's first maximum."""
    x, y = node.inputs[0], node.outputs[0]
    window, ceil = Window.of(node), attribute(node, "ceil_mode", 0)
    (top, left), (bottom, right) = window.static_pads() or ([0, 0], [0, 0])
    (height, width), (rows, columns) = sizes_of(x) or [0, 0], sizes_of(y) or [0, 0]
    (tall, wide), (down, across) = window.kernel, window.strides
    over_columns = x
    if wide > 1 or across > 1:
        over_columns = op.MaxPool(
            x, kernel_shape=[1, wide], strides=[1, across], pads=[0, left, 0, right],
            ceil_mode=ceil,
        )  # fmt: skip
        over_columns.shape = [*(x.shape or [])[:2], height, columns]
    if tall > 1 or down > 1:
        g = _backward(op, Line(2, tall, down, top, height, rows), over_columns, y, g)
    if wide > 1 or across > 1:
        g = _backward(op, Line(3, wide, across, left, width, columns), x, over_columns, g)
    return g


def _backward(op: Emitter, line: Line, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
    """Return the signal at x from that at y, its maxima along one line of windows."""
    if channels_of(g) is None:
        g.shape = y.shape
    taken, left = [], g
    for offset in range(line.kernel - 1):
        takes = _equals(op, line, x, y, offset)
        part = op.Mul(left, takes)
        part.shape = y.shape
        taken.append(part)
        left = op.Add(scaled(op, part, -1), left)
        left.shape = y.shape
    taken.append(left)
    return _placed(op, line, taken) if line.stride == 1 else _interleaved(op, line, x, taken)


def _equals(op: Emitter, line: Line, x: Tensor, y: Tensor, offset: int) -> Tensor:
    """Return 1 where the element at an offset into the window is the maximum, else 0."""
    outside = _outside(op, line, y, offset)
    at_most = y if outside is None else op.Add(outside, y)
    last = (line.count - 1) * line.stride + line.kernel - line.pad - line.size
    minus = depthwise(
        op, x, line.one_hot(line.kernel, offset, -1), strides=line.along(line.stride),
        pads=line.pads(line.pad, max(last, 0)),
    )  # fmt: skip
    below = op.Relu(op.Add(minus, at_most))
    below.shape = y.shape
    return step(op, below, -STEEP, 1)


def _outside(op: Emitter, line: Line, y: Tensor, offset: int) -> Tensor | None:
    """Return FAR for windows whose element at the offset is padding, else 0; None without such."""
    before = max(0, -(-(line.pad - offset) // line.stride))
    ends = [i * line.stride + offset - line.pad for i in range(line.count)]
    after = sum(end >= line.size for end in ends)
    if not before and not after:
        return None
    # Ones, moved by as many windows towards the other end, leave zeros behind.
    ones = step(op, y, 0, 1)
    kernel = np.zeros(before + after + 1)
    kernel[0] -= FAR if before else 0
    kernel[-1] -= FAR if after else 0
    inside = depthwise(
        op, ones, kernel.reshape(line.along(kernel.size)), FAR * (bool(before) + bool(after)),
        pads=line.pads(before, after),
    )  # fmt: skip
    outside = op.Relu(inside)  # not below zero anyway; keeps the sum with y apart, which is exact
    outside.shape = y.shape
    return outside


def _placed(op: Emitter, line: Line, taken: list[Tensor]) -> Tensor:
    """Add up the parts, each moved to its element, for windows one element apart."""
    length, total = line.kernel, None
    pads = line.pads(length - 1 - line.pad, line.size - line.count + line.pad)
    for offset, part in enumerate(taken):
        moved = depthwise(op, part, line.one_hot(length, length - 1 - offset), pads=pads)
        total = moved if total is None else op.Add(moved, total)
    return total or taken[0]


def _interleaved(op: Emitter, line: Line, x: Tensor, taken: list[Tensor]) -> Tensor:
    """Add up the parts of each phase of the stride, then interleave the phases along the line."""
    most = (line.kernel - 1) // line.stride  # the windows by which a part moves at most
    phases = []
    for phase in range(line.stride):
        total = None
        for offset in range(phase, line.kernel, line.stride):
            hot = line.one_hot(most + 1, most - offset // line.stride)
            moved = depthwise(op, taken[offset], hot, pads=line.pads(most, most))
            total = moved if total is None else op.Add(moved, total)
            total.shape = moved.shape
        phases.append(scaled(op, taken[0], 0) if total is None else total)
    channels, sizes = channels_of(x) or 0, sizes_of(x) or []
    strides, start = line.along(line.stride), line.along(line.pad, 0)
    return interleaved(op, phases, strides, channels, start, sizes)
