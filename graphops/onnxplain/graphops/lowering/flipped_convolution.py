"""Transposed convolutions of the backward part as convolutions, which have a blocked layout.

One of stride 1 is a convolution with the kernels flipped and the channels exchanged. One of a
larger stride is that over the signal with zeros between its elements, which costs little where it
is depthwise; where the kernel is one element, the zeros can follow the convolution. Else each phase
of the stride has the kernel's elements that reach it, and the phases are interleaved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, is_constant, is_static
from onnxplain.graphops.lowering.blocked import (
    BLOCK,
    channels_of,
    interleaved,
    repeated,
    sizes_of,
)

__all__ = ["transposed_convolution"]

FOLDED = {
    "Abs", "Add", "Cast", "Clip", "Div", "Identity", "Max", "Min", "Mul", "Neg", "Pow", "Relu",
    "Reshape", "Slice", "Sqrt", "Sub", "Transpose", "Unsqueeze",
}  # fmt: skip
LAST = np.iinfo(np.int64).min  # an end of Slice before the first element


def transposed_convolution(op: Emitter, node: Node) -> Tensor | None:
    """Return the result of a ConvTranspose over two spatial axes as that of a Conv."""
    x, weight, *bias = node.inputs
    shape = weight.shape or []
    sized = node.attrs.get("output_shape") or node.attrs.get("auto_pad", "NOTSET") != "NOTSET"
    if bias or sized or len(shape) != 4 or not is_static(shape) or not _folds(weight):
        return None
    kernel = list(shape[2:])
    group, strides = attribute(node, "group", 1), attribute(node, "strides", [1, 1])
    dilations, pads = attribute(node, "dilations", [1, 1]), attribute(node, "pads", [0] * 4)
    spare = attribute(node, "output_padding", [0, 0])
    extent = [d * (k - 1) for k, d in zip(kernel, dilations, strict=True)]
    before = [extent[i] - pads[i] for i in (0, 1)]
    after = [extent[i] - pads[i + 2] + spare[i] - strides[i] + 1 for i in (0, 1)]
    if min(*before, *after) < 0:
        return None
    if group == 1 and shape[1] < BLOCK:  # most of a block of channels would be computed for nothing
        return None
    attrs = {"kernel_shape": kernel, "dilations": dilations, "group": group}
    around = [*before, *after]
    if max(strides) == 1:
        return op.Conv(x, _flipped(op, weight, shape, group), **attrs, pads=around)
    sizes = sizes_of(x)
    if sizes is None or channels_of(x) is None:
        return None
    if group > 1 and group == channels_of(x) and shape[1] == 1:
        spread = _with_zeros(op, x, sizes, strides)
        return op.Conv(spread, _flipped(op, weight, shape, group), **attrs, pads=around)
    if kernel == [1, 1] and not any(around):
        mixed = op.Conv(x, _flipped(op, weight, shape, group), **attrs)
        return _with_zeros(op, mixed, sizes, strides)
    if group == 1 and shape[1] % BLOCK == 0 and max(dilations) == 1:
        long = [(sizes[i] - 1) * strides[i] + kernel[i] + spare[i] for i in (0, 1)]
        ends = [long[i] - pads[i] - pads[i + 2] for i in (0, 1)]
        lines = [StridedAxis(kernel[i], strides[i], pads[i], sizes[i], ends[i]) for i in (0, 1)]
        return _by_phases(op, x, weight, lines, shape[1])
    return None


@dataclass(frozen=True)
class StridedAxis:
    """One axis of a transposed convolution, from `size` elements to `result`."""

    kernel: int
    stride: int
    pad: int
    size: int
    result: int

    def phases(self) -> list[tuple[int, int, int, int]] | None:
        """Return each phase's last and number of the kernel's elements, and the padding.

        The element t of the kernel reaches the results at s·i + r with t = r + pad modulo s.
        """
        found, most = [], -(-self.result // self.stride)
        for phase in range(self.stride):
            first = (phase + self.pad) % self.stride
            count = len(range(first, self.kernel, self.stride))
            moved = (phase + self.pad - first) // self.stride
            before = count - 1 - moved
            after = most - self.size - before + count - 1
            if not count or before < 0 or after < 0:
                return None
            found.append((first + self.stride * (count - 1), count, before, after))
        return found


def _by_phases(
    op: Emitter, x: Tensor, weight: Tensor, lines: list[StridedAxis], channels: int
) -> Tensor | None:
    """Return the interleaved results of one convolution for each phase of the strides."""
    strides, maps = [line.stride for line in lines], []
    down, across = (line.phases() for line in lines)
    if down is None or across is None:
        return None
    exchanged = op.Transpose(weight, perm=[1, 0, 2, 3])
    for (bottom, tall, above, below), (right, wide, left, after) in product(down, across):
        part = op.Slice(
            exchanged, [bottom, right], [LAST, LAST], [2, 3], [-strides[0], -strides[1]]
        )
        pads = [above, left, below, after]
        one = op.Conv(x, part, kernel_shape=[tall, wide], pads=pads)
        one.shape = [None, channels, *(-(-line.result // line.stride) for line in lines)]
        maps.append(one)
    return interleaved(op, maps, strides, channels, [0, 0], [line.result for line in lines])


def _flipped(op: Emitter, weight: Tensor, shape: Sequence[int], group: int) -> Tensor:
    """Return the forward convolution's weight [O, I/groups, h, w] as [I, O/groups, h, w], flipped.

    It is computed from the shared weight by nodes that runtimes evaluate once, when they load.
    """
    out, inner, *kernel = shape
    if group == 1:
        weight = op.Transpose(weight, perm=[1, 0, 2, 3])
    elif out != group or inner != 1:
        weight = op.Reshape(weight, [group, out // group, inner, *kernel])
        weight = op.Transpose(weight, perm=[0, 2, 1, 3, 4])
        weight = op.Reshape(weight, [group * inner, out // group, *kernel])
    if max(kernel) == 1:
        return weight
    return op.Slice(weight, [-1, -1], [LAST, LAST], [2, 3], [-1, -1])


def _with_zeros(op: Emitter, x: Tensor, sizes: list[int], strides: list[int]) -> Tensor:
    """Return maps of sizes·strides: each element of x, and zeros up to the next one."""
    first = np.zeros((1, 1, *strides))
    first[0, 0, 0, 0] = 1
    mask = op.Tile(op.constant(first, np.float32), [1, 1, *sizes])
    return op.Mul(repeated(op, x, strides), mask)


def _folds(weight: Tensor) -> bool:
    """Tell whether runtimes compute the weight when they load: not one that is dequantised."""
    if is_constant(weight):
        return True
    node = weight.inputs[0] if weight.inputs else None
    return node is not None and node.op in FOLDED and all(_folds(t) for t in node.inputs)
