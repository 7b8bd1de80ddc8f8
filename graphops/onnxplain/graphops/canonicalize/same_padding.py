"""Pools with SAME padding whose stride exceeds the window, with which TF-slim subsamples.

ONNX's formula yields negative padding, and ONNX Runtime refuses the pool; TensorFlow, where such
networks come from, does not pad. A MaxPool with indices and an LpPool do run in ONNX Runtime,
starting after the first element, so they are left unchanged.
"""

from __future__ import annotations

from onnxplain.graphops.ir import Graph, Node, attribute, infer_shapes
from onnxplain.graphops.operators import Window, is_dilated

__all__ = ["write_same_padding"]

REFUSED = ("AveragePool", "MaxPool")


def write_same_padding(graph: Graph) -> None:
    """Write the padding of such pools as `pads`, in place, where it is known."""
    for node in graph.nodes:
        is_refused = node.op in REFUSED and len(node.outputs) == 1
        if is_refused and _has_gaps(node) and not is_dilated(node) and _write_pads(node):
            infer_shapes(graph)  # with ceil_mode its size was another


def _has_gaps(node: Node) -> bool:
    kernel = attribute(node, "kernel_shape", [])
    strides = attribute(node, "strides", [1] * len(kernel))
    return any(s > k for s, k in zip(strides, kernel, strict=False))


def _write_pads(node: Node) -> bool:
    window = Window.of(node)
    pads = window.static_pads()
    if not window.same or pads is None:
        return False
    del node.attrs["auto_pad"]
    node.attrs["pads"] = [*pads[0], *pads[1]]
    node.attrs["ceil_mode"] = 0  # SAME has ceil(size / stride) windows, as rounding down has
    return True
