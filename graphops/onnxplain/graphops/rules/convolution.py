"""The backward pass of a convolution: a transposed convolution with the same weights."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.emit import Emitter
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


RULES: dict[str, Rule] = {"Conv": _conv}
