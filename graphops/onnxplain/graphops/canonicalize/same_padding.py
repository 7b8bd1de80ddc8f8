"""Pools with SAME padding whose windows are further apart than long, as TF-slim subsamples by.

ONNX's formula gives them less than no padding, and ONNX Runtime then refuses the pool; TensorFlow,
where such nets come from, pads nothing. A MaxPool that gives indices, and an LpPool, do run there,
beginning behind the first element, so they stay what they are.
"""

from __future__ import annotations

from onnxplain.graphops.ir import Graph, Node, attribute, infer_shapes
from onnxplain.graphops.operators import Window, is_dilated

__all__ = ["settle_same_padding"]

REFUSED = ("AveragePool", "MaxPool")


def settle_same_padding(graph: Graph) -> None:
    """Write down, in place, the padding of such pools, where it is known."""
    for node in graph.nodes:
        is_refused = node.op in REFUSED and len(node.outputs) == 1
        if is_refused and _is_apart(node) and not is_dilated(node) and _settle(node):
            infer_shapes(graph)  # with ceil_mode it had another size


def _is_apart(node: Node) -> bool:
    kernel = attribute(node, "kernel_shape", [])
    strides = attribute(node, "strides", [1] * len(kernel))
    return any(s > k for s, k in zip(strides, kernel, strict=True))


def _settle(node: Node) -> bool:
    window = Window.of(node)
    pads = window.static_pads()
    if not window.same or pads is None:
        return False
    del node.attrs["auto_pad"]
    node.attrs["pads"] = [*pads[0], *pads[1]]
    node.attrs["ceil_mode"] = 0  # SAME has ceil(size / stride) windows, which rounding down gives
    return True
