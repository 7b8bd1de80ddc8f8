"""Tracking the batch axis through a graph.

A tensor is *batched* if its axis 0 runs over the images and each entry depends on its own image
alone, *shared* if it depends on no image, and *mixed* otherwise. Two images in one batch equal two
single runs only if every tensor is batched or shared.
"""

from __future__ import annotations

from onnxplain.graphops.analysis.inputs import single_image_inputs
from onnxplain.graphops.ir import Graph, Node, Tensor, reads, shape_of
from onnxplain.graphops.operators import SizesOnly, Without, operator_of

__all__ = ["BATCHED", "MIXED", "SHARED", "batch_dimension", "track_batch"]

BATCHED, SHARED, MIXED = "batched", "shared", "mixed"


def track_batch(graph: Graph) -> dict[str, str]:
    """Return the state of each tensor, batched, shared or mixed, by name.

    Where inference lost the size of a batched tensor's axis 0, it is set to the batch dimension.
    """
    states = {t.name: SHARED for t in graph.tensors().values()}
    for tensor in graph.inputs:
        if _has_dynamic_axis_0(tensor):
            states[tensor.name] = BATCHED
    names = {t.shape[0] for t in graph.inputs if t.shape and isinstance(t.shape[0], str)}
    for node in graph.nodes:
        state = _state_after(node, [states.get(t.name, SHARED) for t in reads(node)])
        for tensor in node.outputs:
            states[tensor.name] = state
            if state == BATCHED and len(names) == 1 and _has_dynamic_axis_0(tensor):
                tensor.shape = [*names, *shape_of(tensor)[1:]]
    return states


def batch_dimension(graph: Graph) -> int | str:
    """Return the batch dimension of the inputs: its name, or its size where it is fixed.

    It is 1 where the network takes one image without a batch axis.
    """
    if single_image_inputs(graph):
        return 1
    sizes = [t.shape[0] for t in graph.inputs if t.shape and t.shape[0] is not None]
    return next((s for s in sizes if isinstance(s, str)), sizes[0] if sizes else "N")


def _has_dynamic_axis_0(tensor: Tensor) -> bool:
    return bool(tensor.shape) and not isinstance(shape_of(tensor)[0], int)


def _state_after(node: Node, inputs: list[str]) -> str:
    operator = operator_of(node)
    type_only = operator.type_only if operator is not None else ()
    inputs = [SHARED if i in type_only else state for i, state in enumerate(inputs)]
    if BATCHED not in inputs and MIXED not in inputs:
        return SHARED
    check = operator.batch if operator is not None else None
    if isinstance(check, SizesOnly):
        return SHARED
    if check is None or isinstance(check, Without) or MIXED in inputs:
        return MIXED
    return BATCHED if check(node, [state == BATCHED for state in inputs]) else MIXED
