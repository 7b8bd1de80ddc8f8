"""Pools with ceil_mode whose size ONNX's inference gets wrong, put into a form that it gets right.

A last window that would begin in the padding behind the input is dropped by runtimes, and by
inference from opset 22 on. Before, inference counts it, and runtimes believe that in turn when they
fold shapes into constants.
"""

from __future__ import annotations

from onnxplain.graphops.graph import Graph, Node, attribute, infer_shapes
from onnxplain.graphops.rules.window import Window

__all__ = ["settle_ceil_mode"]

MENDED = 22  # the opset from which on inference drops such windows
POOLS = ("AveragePool", "LpPool", "MaxPool")


def settle_ceil_mode(graph: Graph) -> None:
    """Give each such pool of known size, in place, the padding with which it needs no ceil_mode."""
    if graph.opset >= MENDED:
        return
    for node in graph.nodes:
        if node.op in POOLS and attribute(node, "ceil_mode", 0):
            pads = _floor_pads(node)
            if pads is not None:
                node.attrs["pads"] = pads
                node.attrs["ceil_mode"] = 0
                infer_shapes(graph)  # what follows had the wrong size too


def _floor_pads(node: Node) -> list[int] | None:
    """Return the padding that makes the windows without ceil_mode; None where nothing is wrong."""
    window = Window.of(node)
    sizes = (node.inputs[0].shape or [])[2:]
    pads = window.static_pads()
    if pads is None or window.same or not sizes or not all(isinstance(s, int) for s in sizes):
        return None
    end, dropped, grown = [], False, False
    for size, before, after, extent, stride in zip(
        sizes, *pads, window.extent, window.strides, strict=True
    ):
        last = -(-(size + before + after - extent) // stride)
        if last * stride >= size + before:
            last, dropped = last - 1, True
        needed = max(last * stride + extent - size - before, 0)
        grown |= needed > after
        end.append(needed)
    if not dropped or (grown and attribute(node, "count_include_pad", 0)):
        return None  # padding that counts must not grow
    return [*pads[0], *end]
