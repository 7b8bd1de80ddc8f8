"""Views that PyTorch's newer exporter writes as a Gather from the flattened tensor (as_strided).

Where the indices count up from zero, as behind the mean of a channels-last map, the Gather is a
Reshape. That one keeps the batch axis, for all that an analysis of the indices can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from onnxplain.graphops.ir import (
    Graph,
    Node,
    Tensor,
    attribute,
    constant,
    infer_shapes,
    is_static,
    known_value,
)

__all__ = ["reshape_strided_views"]

BATCHES = (2, 3)  # sizes to try for a free batch axis


def reshape_strided_views(graph: Graph) -> None:
    """Replace each Gather of all elements of a flattened tensor, in their order, by a Reshape."""
    unread: list[Node] = []
    changed = False
    for node in graph.nodes:
        flatten = _flatten_before(node)
        if flatten is None:
            continue
        viewed = flatten.inputs[0]
        sizes = _counted_sizes(graph, viewed, node.inputs[1])
        if sizes is not None:
            node.op, node.attrs = "Reshape", {}
            node.inputs = [viewed, constant(f"{node.name}/sizes", np.array(sizes, np.int64))]
            if not flatten.outputs[0].outputs and flatten.outputs[0] not in graph.outputs:
                unread.append(flatten)
            changed = True
    graph.nodes = [node for node in graph.nodes if not any(node is n for n in unread)]
    if changed:
        infer_shapes(graph)


def _flatten_before(node: Node) -> Node | None:
    """Return the Reshape to one axis that the node gathers from."""
    if node.op != "Gather" or attribute(node, "axis", 0) != 0 or not node.inputs[0].inputs:
        return None
    flatten = node.inputs[0].inputs[0]
    sizes = known_value(flatten.inputs[1]) if flatten.op == "Reshape" else None
    if sizes is None or sizes.tolist() != [-1] or not flatten.inputs[0].shape:
        return None
    return flatten


def _counted_sizes(graph: Graph, viewed: Tensor, indices: Tensor) -> list[int] | None:
    """Return the indices' shape, with 0 for the batch, where they count all elements in order."""
    batch, *others = viewed.shape or [None]
    if not is_static(others):
        return None
    found = []
    for size in (batch,) if isinstance(batch, int) else BATCHES:
        with _with_size(graph, batch, size):
            value = known_value(indices)
        total = size * int(np.prod(others))
        if value is None or value.size != total or (value.ravel() != np.arange(total)).any():
            return None
        found.append([int(s) for s in value.shape])
    if isinstance(batch, int):
        return found[0]
    if [sizes[0] for sizes in found] != list(BATCHES) or found[0][1:] != found[1][1:]:
        return None
    return [0, *found[0][1:]]


@contextmanager
def _with_size(graph: Graph, name: int | str | None, size: int) -> Iterator[None]:
    """Give the graph's inputs this size where they have a dynamic one of that name."""
    shapes = [(t, t.shape) for t in graph.inputs if t.shape is not None]
    try:
        for tensor, shape in shapes:
            tensor.shape = [size if d == name else d for d in shape]
        yield
    finally:
        for tensor, shape in shapes:
            tensor.shape = shape
