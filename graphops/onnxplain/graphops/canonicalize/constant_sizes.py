"""Folding computed constant sizes into constants, where shape inference does not see through."""

from __future__ import annotations

import math

import numpy as np

from onnxplain.graphops.ir import (
    Emitter,
    Graph,
    Node,
    Tensor,
    constant,
    infer_shapes,
    is_constant,
    is_known_size,
    is_static,
    known_part,
)
from onnxplain.graphops.operators import OPERATORS

__all__ = ["fold_computed_sizes"]

SIZED = {"Expand", "Pad", "Reshape", "Slice", "Tile"}


def fold_computed_sizes(graph: Graph) -> None:
    """Replace computed inputs by constants as far as known, in nodes of unknown output shape.

    PyTorch's attention splits its heads with a Reshape to a Concat of Slices of a Shape, of which
    inference does not even know the rank. Where the batch is free, the other sizes are known.
    """
    while _fold(graph):  # again: others are computed from those that have become known
        infer_shapes(graph)


def _fold(graph: Graph) -> bool:
    op, changed = Emitter(graph), False
    with op.collecting() as nodes:
        for node in graph.nodes:
            if node.op in SIZED and not _has_known_shape(node.outputs[0]):
                for index in range(1, len(node.inputs)):
                    changed |= _fold_input(op, node, index)
            op.append(node)
    graph.nodes = nodes
    return changed


def _fold_input(op: Emitter, node: Node, index: int) -> bool:
    """Replace an input by what is known of it. Returns whether more is known than before."""
    tensor = node.inputs[index]
    part = None if tensor.is_empty() or is_constant(tensor) else known_part(tensor)
    if part is None:
        return False
    sizes, known = part
    values = _without_rest(node, sizes) if node.op == "Reshape" else sizes
    if known.all():
        node.inputs[index] = constant(f"{node.name}/{tensor.name}", values)
        return True
    told = np.array_equal(values, sizes) and known.sum() <= _constants(tensor)
    if told or values.ndim != 1:
        return False
    with op.scoped(node.name):
        pieces = [
            [int(v)] if k else op.raw("Slice", tensor, [i], [i + 1])
            for i, (v, k) in enumerate(zip(values, known, strict=True))
        ]
        node.inputs[index] = op.raw("Concat", *pieces, axis=0)
    return True


def _constants(sizes: Tensor) -> int:
    """Return how many of computed sizes a Concat takes from constants."""
    node = sizes.inputs[0]
    if node.op != "Concat":
        return 0
    return sum(int(t.values.size) for t in node.inputs if is_constant(t))


def _without_rest(node: Node, sizes: np.ndarray) -> np.ndarray:
    """Return a Reshape's sizes with the number that -1 stands for, where one image tells it."""
    shape, batch = node.inputs[0].shape, OPERATORS["Reshape"].batch
    image = shape[1:] if shape else []
    if not shape or not is_static(image) or list(sizes[1:]).count(-1) != 1 or 0 in sizes[1:]:
        return sizes
    if not callable(batch) or not batch(node, [True, False]):
        return sizes
    rest = math.prod(image) // math.prod(int(n) for n in sizes[1:] if n != -1)
    return np.array([sizes[0], *(rest if n == -1 else n for n in sizes[1:])], np.int64)


def _has_known_shape(tensor: Tensor) -> bool:
    return tensor.shape is not None and all(is_known_size(size) for size in tensor.shape)
