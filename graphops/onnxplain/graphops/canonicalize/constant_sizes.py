"""Folding computed constant sizes into constants, where shape inference does not see through."""

from __future__ import annotations

from onnxplain.graphops.ir import (
    Graph,
    Tensor,
    constant,
    infer_shapes,
    is_constant,
    is_known_size,
    known_value,
)

__all__ = ["fold_computed_sizes"]

SIZED = {"Expand", "Pad", "Reshape", "Slice", "Tile"}


def fold_computed_sizes(graph: Graph) -> None:
    """Replace computed inputs of known value by constants, in nodes whose output shape is unknown.

    PyTorch's attention splits its heads with a Reshape to a Concat of Slices of a Shape, of which
    inference does not even know the rank.
    """
    changed = False
    for node in graph.nodes:
        if node.op not in SIZED or _has_known_shape(node.outputs[0]):
            continue
        for i, tensor in enumerate(node.inputs):
            if i == 0 or tensor.is_empty() or is_constant(tensor):
                continue
            value = known_value(tensor)
            if value is not None:
                node.inputs[i] = constant(f"{node.name}/{tensor.name}", value)
                changed = True
    if changed:
        infer_shapes(graph)


def _has_known_shape(tensor: Tensor) -> bool:
    return tensor.shape is not None and all(is_known_size(size) for size in tensor.shape)
