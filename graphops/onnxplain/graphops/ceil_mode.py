"""Pools with ceil_mode whose size ONNX's inference gets wrong, put into a form that it gets right.

A last window that would begin in the padding behind the input is dropped by runtimes, and by
inference from opset 22 on. Before, inference counts it, and runtimes believe that in turn when they
fold shapes into constants.
"""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxplain.graphops.graph import Graph, Node, Tensor, attribute, constant, infer_shapes
from onnxplain.graphops.rules.window import Window

__all__ = ["settle_ceil_mode"]

MENDED = 22  # the opset from which on inference drops such windows
POOLS = ("AveragePool", "LpPool", "MaxPool")


def settle_ceil_mode(graph: Graph) -> None:
    """Cut, in place, what leads inference to such a window, on the axes whose sizes are known."""
    if graph.opset >= MENDED:
        return
    for node in list(graph.nodes):
        if node.op in POOLS and attribute(node, "ceil_mode", 0) and _settle(graph, node):
            infer_shapes(graph)  # what follows had the wrong size too


def _settle(graph: Graph, node: Node) -> bool:
    """Let the padded input end, on the axes that drop a window, where the last one kept ends.

    With that, rounding up or down is the same there. Where not even no padding would do, windows
    being further apart than long, the input itself is cut: no window sees what goes.
    """
    window = Window.of(node)
    pads = window.static_pads()
    sizes = (node.inputs[0].shape or [])[2:]
    if pads is None or window.same or not sizes:
        return False
    before, after = pads
    end, cut = list(after), {}
    for i, size in enumerate(sizes):
        if not isinstance(size, int):
            continue
        stride, extent = window.strides[i], window.extent[i]
        last = -(-(size + before[i] + after[i] - extent) // stride)
        if last * stride >= size + before[i]:
            needed = (last - 1) * stride + extent - size - before[i]
            end[i] = max(needed, 0)
            if needed < 0:
                cut[2 + i] = size + needed
    if cut and len(node.outputs) > 1:
        return False  # indices count from the input's own size
    if cut:
        node.inputs[0] = _beginning(graph, node, cut)
    node.attrs["pads"] = [*before, *end]
    return bool(cut) or end != list(after)


def _beginning(graph: Graph, node: Node, ends: dict[int, int]) -> Tensor:
    """Insert a Slice before a node that keeps its input up to the ends of some axes."""
    x, name = node.inputs[0], f"onnxplain/{node.name}/input"
    shape = [ends.get(axis, size) for axis, size in enumerate(x.shape)]
    kept = gs.Variable(name, dtype=x.dtype, shape=shape)
    numbers = {"starts": [0] * len(ends), "ends": list(ends.values()), "axes": list(ends)}
    inputs = [constant(f"{name}/{n}", np.array(v, np.int64)) for n, v in numbers.items()]
    cutting = gs.Node("Slice", name=name, inputs=[x, *inputs], outputs=[kept])
    graph.nodes.insert(graph.nodes.index(node), cutting)
    return kept
