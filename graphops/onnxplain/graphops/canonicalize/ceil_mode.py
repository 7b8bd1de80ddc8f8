"""Pools with ceil_mode whose size ONNX's inference gets wrong, put into a form that it gets right.

A last window that would begin in the padding behind the input is dropped by runtimes, and by
inference from opset 22 on. Before, inference counts it, and runtimes believe that in turn when they
fold shapes into constants.
"""

from __future__ import annotations

from onnxplain.graphops.ir import Emitter, Graph, Node, attribute, infer_shapes
from onnxplain.graphops.operators import Window

__all__ = ["settle_ceil_mode"]

MENDED = 22  # the opset from which on inference drops such windows
POOLS = ("AveragePool", "LpPool", "MaxPool")


def settle_ceil_mode(graph: Graph) -> None:
    """Cut, in place, what leads inference to such a window, where sizes are known."""
    if graph.opset >= MENDED:
        return
    for node in list(graph.nodes):
        if node.op in POOLS and attribute(node, "ceil_mode", 0) and _settle(graph, node):
            infer_shapes(graph)  # what follows had the wrong size too


def _settle(graph: Graph, node: Node) -> bool:
    """Give the node's end padding its true length on the axes that drop a window.

    With that, rounding up or down is the same there. Where not even no padding would do, windows
    being further apart than long, the end of the input goes too, which no window sees.
    """
    window = Window.of(node)
    pads = window.static_pads()
    sizes = (node.inputs[0].shape or [])[2:]
    if pads is None or window.same:
        return False
    before, after = pads
    end, seen = list(after), {}
    for i, size in enumerate(sizes):
        if not isinstance(size, int):
            continue
        stride, extent = window.strides[i], window.extent[i]
        last = -(-(size + before[i] + after[i] - extent) // stride)
        if last * stride >= size + before[i]:
            needed = (last - 1) * stride + extent - size - before[i]
            end[i] = max(needed, 0)
            if needed < 0:
                seen[2 + i] = size + needed
    if seen and len(node.outputs) > 1:
        return False  # indices count through the whole input
    if end == list(after) and not seen:
        return False
    if seen:
        _cut(graph, node, seen)
    node.attrs["pads"] = [*before, *end]
    return True


def _cut(graph: Graph, node: Node, seen: dict[int, int]) -> None:
    """Let the node read its input only up to `seen`, a size for some axes."""
    op = Emitter(graph)
    with op.collecting() as nodes, op.scoped(node.name):
        node.inputs[0] = op.Slice(node.inputs[0], [0] * len(seen), [*seen.values()], [*seen])
    place = next(i for i, other in enumerate(graph.nodes) if other is node)
    graph.nodes[place:place] = nodes
