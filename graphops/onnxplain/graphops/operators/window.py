"""The geometry that convolutions and poolings share: kernel, stride, dilation, padding.

Paddings that depend on sizes which are not known until the graph runs are int64 tensors of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, dtype_of, is_static, reshape

__all__ = ["Window", "fold_channels", "is_dilated", "spread", "spread_evenly"]

MAX_ELEMENTS = 2**22  # of a window, since its backward pass has a kernel of that size


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
        if kernel is None and node.op in ("Conv", "ConvTranspose"):
            kernel = (node.inputs[1].shape or [None])[2:]
        if not kernel or not is_static(kernel):
            raise UnsupportedModel(
                f"the kernel of {node.op} '{node.name}', which reads '{x.name}', has no known "
                "size: export the model with `kernel_shape`"
            )
        if math.prod(kernel) > MAX_ELEMENTS:
            raise UnsupportedModel(
                f"the window of {node.op} '{node.name}', {kernel}, has over {MAX_ELEMENTS} "
                "elements: choose a layer before it, or a target after it"
            )
        if "Conv" not in node.op and is_dilated(node) and "SAME" in attribute(node, "auto_pad", ""):
            raise UnsupportedModel(
                f"{node.op} '{node.name}' is dilated and pads by auto_pad, for which ONNX and its "
                "runtimes compute different sizes: export the model with explicit `pads`"
            )
        ones = [1] * len(kernel)
        strides, dilations = attribute(node, "strides", ones), attribute(node, "dilations", ones)
        return cls(node, list(kernel), list(strides), list(dilations))

    @property
    def axes(self) -> list[int]:
        """The spatial axes, 2 and up."""
        return list(range(2, 2 + len(self.kernel)))

    @property
    def attrs(self) -> dict[str, list[int]]:
        """The window as attributes of an operator."""
        return {"kernel_shape": self.kernel, "strides": self.strides, "dilations": self.dilations}

    @property
    def extent(self) -> list[int]:
        """The length of one window along each axis: dilation·(kernel − 1) + 1."""
        return [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]

    @property
    def overlaps(self) -> bool:
        """Whether two windows can share an element."""
        return any(
            any(j * dilation % stride == 0 for j in range(1, kernel))
            for kernel, stride, dilation in zip(
                self.kernel, self.strides, self.dilations, strict=True
            )
        )

    @property
    def same(self) -> str:
        """The node's auto_pad if it is SAME_UPPER or SAME_LOWER, else an empty string."""
        auto_pad = str(attribute(self.node, "auto_pad", "NOTSET"))
        return auto_pad if auto_pad.startswith("SAME") else ""

    def static_pads(self) -> tuple[list[int], list[int]] | None:
        """Return the padding before and after each axis, None if it depends on unknown sizes."""
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

    def begin(self, op: Emitter) -> Tensor:
        """Return the padding before each spatial axis, int64[rank − 2]."""
        static = self.static_pads()
        if static is not None:
            return op.constant(static[0], np.int64)
        size = op.shape(self.node.inputs[0], 2)
        strides = op.constant(self.strides, np.int64)
        windows = op.Div(op.Add(size, [s - 1 for s in self.strides]), strides)
        covered = op.Add(op.Mul(op.Sub(windows, 1), strides), self.extent)
        total = op.Max(op.Sub(covered, size), op.constant([0], np.int64))
        if self.same == "SAME_LOWER":
            total = op.Add(total, 1)
        return op.Div(total, 2)

    def end(self, op: Emitter) -> list[int]:
        """Return a padding after each spatial axis that is long enough for every window."""
        static = self.static_pads()
        after = self.extent if static is None else static[1]
        return [a + s - 1 for a, s in zip(after, self.strides, strict=True)]

    def crop(self, op: Emitter, whole: Tensor) -> Tensor:
        """Crop a signal that covers the padded input, or more, to the input."""
        x, pads = self.node.inputs[0], self.static_pads()
        sizes = x.shape[2:] if x.shape is not None else [None]
        if pads is not None and is_static(sizes):
            ends = [b + s for b, s in zip(pads[0], sizes, strict=True)]
            return op.Slice(whole, pads[0], ends, self.axes)
        start = self.begin(op)
        return op.Slice(whole, start, op.Add(start, op.shape(x, 2)), self.axes)


def is_dilated(node: Node) -> bool:
    """Tell whether there are gaps between the elements of a window."""
    return any(d > 1 for d in attribute(node, "dilations", []))


def spread_evenly(op: Emitter, window: Window, g: Tensor) -> Tensor:
    """Add the signal at each output of a pooling to every element of its window."""
    g = fold_channels(op, g, window.node.outputs[0])
    return spread(op, window, g, np.ones((1, 1, *window.kernel)))


def spread(op: Emitter, window: Window, g: Tensor, kernel: np.ndarray) -> Tensor:
    """Add kernel·g into each window of the pool's input; g is [N·C, kernel.shape[0], ...]."""
    whole = op.ConvTranspose(
        g,
        op.constant(kernel, dtype_of(g)),
        strides=window.strides,
        dilations=window.dilations,
        kernel_shape=window.kernel,
        output_padding=[s - 1 for s in window.strides],
    )
    return op.reshape_like(window.crop(op, whole), window.node.inputs[0])


def fold_channels(op: Emitter, g: Tensor, like: Tensor) -> Tensor:
    """Fold the channels into the batch axis, so that all have one kernel: [N·C, 1, ...]."""
    if like.shape is not None and is_static(like.shape[2:]) and 0 not in like.shape[2:]:
        return op.Reshape(g, [-1, 1, *like.shape[2:]])
    shape = op.shape(like)
    maps = op.ReduceProd(op.Slice(shape, [0], [2]), keepdims=1)
    return reshape(op, g, maps, [1], op.shape(like, 2))
