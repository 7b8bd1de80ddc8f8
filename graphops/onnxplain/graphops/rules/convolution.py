"""The backward pass of a convolution: a transposed convolution with the same weights."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.graph import Node, attribute
from onnxplain.graphops.rules.table import Rule, Signals
from onnxplain.graphops.rules.window import Window

__all__ = ["RULES"]


def _conv(op: Emitter, n: Node, g: Any) -> Signals:
    """Zeiler and Fergus 2014, section 2.1: filter with the transposed kernels.

    A stride may leave a remainder of the input that no window reached. Where the sizes are known it
    is `output_padding`; where they are not, as much as there can be is made, and cut to the input.
    """
    window = Window.of(n)
    attrs = {
        "kernel_shape": window.kernel,
        "strides": window.strides,
        "dilations": window.dilations,
        "group": attribute(n, "group", 1),
    }
    pads = window.static_pads()
    remainder = _remainder(window, pads)
    if pads is not None and remainder is not None and pads[0] == pads[1]:
        signal = op.ConvTranspose(
            g, n.inputs[1], **attrs, pads=[*pads[0], *pads[1]], output_padding=remainder
        )
    else:
        spare = [s - 1 for s in window.strides]
        whole = op.ConvTranspose(g, n.inputs[1], **attrs, output_padding=spare)
        signal = window.crop(op, whole)
    return (signal, *(None for _ in n.inputs[1:]))


def _conv_transpose(op: Emitter, n: Node, g: Any) -> Signals:
    """The forward convolution that this transposes, with the same weights."""
    x = n.inputs[0]
    window = Window.of(n)
    pads = _transposed_pads(n, window)
    signal = op.Conv(
        g,
        n.inputs[1],
        kernel_shape=window.kernel,
        strides=window.strides,
        dilations=window.dilations,
        group=attribute(n, "group", 1),
        pads=pads,
    )
    if any(p >= s for p, s in zip(_output_padding(n, window), window.strides, strict=True)):
        axes = list(range(2, 2 + len(window.kernel)))
        signal = op.Slice(signal, [0] * len(axes), op.shape(x, 2), axes)
    return (signal, *(None for _ in n.inputs[1:]))


def _output_padding(n: Node, window: Window) -> list[int]:
    return list(attribute(n, "output_padding", [0] * len(window.kernel)))


def _transposed_pads(n: Node, window: Window) -> list[int]:
    """Return what a ConvTranspose cuts off before and after; ONNX's rule where it is not given."""
    rank = len(window.kernel)
    shape = attribute(n, "output_shape")
    if shape is None and not window.same:
        return list(attribute(n, "pads", [0] * 2 * rank))
    before, after = [], []
    sizes = (n.inputs[0].shape or [None] * (rank + 2))[2:]
    for axis in range(rank):
        size, stride = sizes[axis], window.strides[axis]
        spare = window.extent[axis] + _output_padding(n, window)[axis] - stride
        if shape is not None:
            if not isinstance(size, int):
                raise UnsupportedModel(
                    f"ConvTranspose '{n.name}' fixes its output shape and its input has no known "
                    "size: export the model with fixed sizes"
                )
            spare += size * stride - shape[-rank:][axis]
        spare = max(spare, 0)
        less, more = spare // 2, spare - spare // 2
        upper = window.same == "SAME_UPPER"
        before.append(less if upper else more)
        after.append(more if upper else less)
    return [*before, *after]


def _remainder(window: Window, pads: tuple[list[int], list[int]] | None) -> list[int] | None:
    """Return how many elements of the padded input the last window leaves out on each axis."""
    sizes = window.node.inputs[0].shape
    if pads is None:
        return None
    remainder = []
    for axis, (extent, stride) in enumerate(zip(window.extent, window.strides, strict=True)):
        size = sizes[2 + axis] if sizes else None
        if stride == 1:
            remainder.append(0)
        elif isinstance(size, int):
            remainder.append((size + pads[0][axis] + pads[1][axis] - extent) % stride)
        else:
            return None
    return remainder


RULES: dict[str, Rule] = {"Conv": _conv, "ConvTranspose": _conv_transpose}
