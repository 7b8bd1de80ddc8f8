"""Several results of one image where a tensor mixes the batch with another axis.

There the rows of the forward pass cannot be picked, so the images are picked before it: a second
forward pass that has one row for each result.
"""

from __future__ import annotations

from typing import Any

import onnx_graphsurgeon as gs

from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.graph import Graph, Tensor, is_constant, reads

__all__ = ["repeat_forward"]


def repeat_forward(
    op: Emitter,
    graph: Graph,
    image_index: Tensor,
    symbols: tuple[Any, Any],
    batched: frozenset[str],
) -> dict[str, Tensor]:
    """Append a copy of the forward pass on the images that `image_index` picks.

    `symbols` are the names of the dimension over the images and of that over the results. Returns
    the copies by the names of the tensors that they are copies of.
    """
    images, results = symbols
    copies: dict[str, Tensor] = {}
    for tensor in graph.inputs:
        if tensor.name in batched:
            op.scope = tensor.name
            copies[tensor.name] = op.raw("Gather", tensor, image_index, axis=0)
            copies[tensor.name].shape = [results, *tensor.shape[1:]]
    for node in list(graph.nodes):
        if not any(t.name in copies for t in reads(node)):
            continue
        if len(reads(node)) > len(node.inputs):
            raise UnsupportedModel(
                f"{node.op} '{node.name}' reads the network from inside its body, so several "
                "results of one run cannot be made: select 'channel', and run once for each"
            )
        op.scope = ""
        inputs = [copies.get(t.name, t) for t in node.inputs]
        outputs = [_copy(op, t, images, results) for t in node.outputs]
        copies |= {t.name: c for t, c in zip(node.outputs, outputs, strict=True) if t.name}
        copy = gs.Node(node.op, op.name(node.name), dict(node.attrs), inputs, outputs, node.domain)
        copy.original_name = ""
        op.nodes.append(copy)
    return copies


def _copy(op: Emitter, tensor: Tensor, images: Any, results: Any) -> Tensor:
    if tensor.is_empty() or is_constant(tensor):
        return tensor
    shape = tensor.shape
    if shape is not None:
        shape = [results if d == images else d if isinstance(d, int) else None for d in shape]
    return gs.Variable(op.name(tensor.name), dtype=tensor.dtype, shape=shape)
