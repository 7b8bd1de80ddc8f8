"""The geometry that convolutions and poolings share: kernel, stride, dilation, padding.

Sizes may be unknown until the graph runs, so what depends on them is a list of numbers where it can
be and an int64 tensor of the graph otherwise; both go into `op.Slice` and `op.Pad` alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute

__all__ = ["Ints", "Window", "is_dilated"]

MAX_ELEMENTS = 2**22  # of a window: its backward pass holds a kernel of that size

Ints: TypeAlias = "list[int] | Tensor"


@dataclass(frozen=True)
class Window:
    """The window of one convolution or pooling; every list has one entry for each spatial axis."""

    node: Node
    kernel: list[int]
    strides: list[int]
    dilations: list[int]

    @classmethod
    def of(cls, node: Node) -> Window:
        """Read the window of a Conv, a MaxPool or an AveragePool."""
        x = node.inputs[0]
        kernel = attribute(node, "kernel_shape")
        if (
            kernel is None
            and node.op in ("Conv", "ConvTranspose")
            and node.inputs[1].shape is not None
        ):
            kernel = list(node.inputs[1].shape[2:])
        if kernel is None or not all(isinstance(k, int) for k in kernel):
            raise UnsupportedModel(
                f"the kernel of {node.op} '{node.name}', which reads '{x.name}', has no known size"
            )
        if math.prod(kernel) > MAX_ELEMENTS:
            raise UnsupportedModel(
                f"the window of {node.op} '{node.name}', {kernel}, has over {MAX_ELEMENTS} "
                "elements: choose a layer before it, or a target after it"
            )
        if "Conv" not in node.op and is_dilated(node) and "SAME" in attribute(node, "auto_pad", ""):
            raise UnsupportedModel(
                f"{node.op} '{node.name}' is dilated and pads by auto_pad, of which ONNX and its "
                "runtimes do not make the same size: export the model with its `pads` written down"
            )
        ones = [1] * len(kernel)
        strides, dilations = attribute(node, "strides", ones), attribute(node, "dilations", ones)
        return cls(node, list(kernel), list(strides), list(dilations))

    @property
    def extent(self) -> list[int]:
        """How far one window reaches: dilation·(kernel − 1) + 1."""
        return [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]

    @property
    def overlaps(self) -> bool:
        """Tell whether two windows can share an element."""
        return any(
            any(j * dilation % stride == 0 for j in range(1, kernel))
            for kernel, stride, dilation in zip(
                self.kernel, self.strides, self.dilations, strict=True
            )
        )

    @property
    def same(self) -> str:
        """Return SAME_UPPER or SAME_LOWER where the node asks for it, else nothing."""
        auto_pad = str(attribute(self.node, "auto_pad", "NOTSET"))
        return auto_pad if auto_pad.startswith("SAME") else ""

    def static_pads(self) -> tuple[list[int], list[int]] | None:
        """Return the padding before and after each axis, None where it depends on the size."""
        rank = len(self.kernel)
        if not self.same:
            if attribute(self.node, "auto_pad", "NOTSET") == "VALID":
                return [0] * rank, [0] * rank
            pads = list(attribute(self.node, "pads", [0] * 2 * rank))
            return pads[:rank], pads[rank:]
        sizes = (self.node.inputs[0].shape or [None] * (rank + 2))[2:]
        before, after = [], []
        for size, extent, stride in zip(sizes, self.extent, self.strides, strict=True):
            if isinstance(size, int):
                total = max((-(-size // stride) - 1) * stride + extent - size, 0)
            elif stride == 1 or extent == 1:
                total = extent - 1
            else:
                return None
            less, more = total // 2, total - total // 2
            before.append(less if self.same == "SAME_UPPER" else more)
            after.append(more if self.same == "SAME_UPPER" else less)
        return before, after

    def begin(self, op: Emitter) -> Ints:
        """Return the padding before each spatial axis."""
        static = self.static_pads()
        if static is not None:
            return static[0]
        size = op.shape(self.node.inputs[0], 2)
        strides = op.constant(self.strides, np.int64)
        windows = op.Div(op.Add(size, [s - 1 for s in self.strides]), strides)
        covered = op.Add(op.Mul(op.Sub(windows, 1), strides), self.extent)
        total = op.Max(op.Sub(covered, size), op.constant([0], np.int64))
        if self.same == "SAME_LOWER":
            total = op.Add(total, 1)
        return op.Div(total, 2)

    def end(self, op: Emitter) -> list[int]:
        """Return a padding after each spatial axis that every window fits into, or more."""
        static = self.static_pads()
        after = self.extent if static is None else static[1]
        return [a + s - 1 for a, s in zip(after, self.strides, strict=True)]

    def crop(self, op: Emitter, whole: Tensor) -> Tensor:
        """Cut a signal that covers the padded input, and more, down to the input."""
        x, begin = self.node.inputs[0], self.begin(op)
        rank = len(self.kernel)
        axes = list(range(2, 2 + rank))
        sizes = x.shape[2:] if x.shape is not None else [None] * rank
        if isinstance(begin, list) and all(isinstance(s, int) for s in sizes):
            return op.Slice(whole, begin, [b + s for b, s in zip(begin, sizes, strict=True)], axes)
        start = op.constant(begin, np.int64) if isinstance(begin, list) else begin
        return op.Slice(whole, start, op.Add(start, op.shape(x, 2)), axes)


def is_dilated(node: Node) -> bool:
    """Tell whether there are gaps between the elements of a window."""
    return any(d > 1 for d in attribute(node, "dilations", []))
