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
    """Cut, in place, the padding that leads inference to such a window, where sizes are known."""
    if graph.opset >= MENDED:
        return
    for node in graph.nodes:
        if node.op in POOLS and attribute(node, "ceil_mode", 0) and _settle(node):
            infer_shapes(graph)  # what follows had the wrong size too


def _settle(node: Node) -> bool:
    """Give the node's end padding its true length on the axes that drop a window.

    With that, rounding up or down is the same there. Where not even no padding would do, windows
    being further apart than long, ceil_mode goes, and the other axes get what it gave them; at a
    stride of 1 it gives nothing, so the size need not be known.
    """
    window = Window.of(node)
    pads = window.static_pads()
    sizes = (node.inputs[0].shape or [])[2:]
    if pads is None or window.same or not sizes:
        return False
    before, after = pads
    end, rounds_up = list(after), 1
    for i, size in enumerate(sizes):
        if not isinstance(size, int):
            continue
        stride, extent = window.strides[i], window.extent[i]
        last = -(-(size + before[i] + after[i] - extent) // stride)
        if last * stride >= size + before[i]:
            needed = (last - 1) * stride + extent - size - before[i]
            end[i] = max(needed, 0)
            rounds_up &= int(needed >= 0)
    if end == list(after) and rounds_up:
        return False
    if not rounds_up:
        for i, size in enumerate(sizes):
            stride, extent = window.strides[i], window.extent[i]
            if stride == 1:
                continue
            if not isinstance(size, int):
                return False
            last = -(-(size + before[i] + end[i] - extent) // stride)
            if last * stride < size + before[i]:
                end[i] = max(end[i], last * stride + extent - size - before[i])
        grown = any(e > a for e, a in zip(end, after, strict=True))
        if grown and attribute(node, "count_include_pad", 0):
            return False  # padding that counts must not grow
    node.attrs["pads"] = [*before, *end]
    node.attrs["ceil_mode"] = rounds_up
    return True
