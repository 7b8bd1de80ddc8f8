"""Rewriting pools with `ceil_mode` whose output size ONNX's shape inference gets wrong.

A last window that would begin in the end padding is dropped by runtimes, and by inference from
opset 22 on. Before opset 22 inference counts it, and runtimes fold the wrong size into constants.
"""

from __future__ import annotations

from onnxplain.graphops.ir import Emitter, Graph, Node, attribute, infer_shapes
from onnxplain.graphops.operators import Window

__all__ = ["correct_ceil_mode"]

CORRECT_OPSET = 22  # from which on inference drops such windows
POOLS = ("AveragePool", "LpPool", "MaxPool")


def correct_ceil_mode(graph: Graph) -> None:
    """Shorten, in place, the end padding that yields such a window, where sizes are known."""
    if graph.opset >= CORRECT_OPSET:
        return
    for node in list(graph.nodes):
        if node.op in POOLS and attribute(node, "ceil_mode", 0) and _correct(graph, node):
            infer_shapes(graph)  # the sizes after it were wrong too


def _correct(graph: Graph, node: Node) -> bool:
    """Reduce the end padding on the axes that drop a window; tell whether the node changed.

    With it, rounding up and down agree. Where strides exceed the window and even padding 0 is too
    much, the end of the input, which no window covers, is sliced off too.
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
        return False  # its indices refer to the whole input
    if end == list(after) and not seen:
        return False
    if seen:
        _cut(graph, node, seen)
    node.attrs["pads"] = [*before, *end]
    return True


def _cut(graph: Graph, node: Node, seen: dict[int, int]) -> None:
    """Slice the node's input to the sizes `seen`, by axis."""
    op = Emitter(graph)
    with op.collecting() as nodes, op.scoped(node.name):
        node.inputs[0] = op.Slice(node.inputs[0], [0] * len(seen), [*seen.values()], [*seen])
    index = next(i for i, other in enumerate(graph.nodes) if other is node)
    graph.nodes[index:index] = nodes
