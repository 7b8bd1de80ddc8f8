"""The default target of an explanation: the picture."""

from __future__ import annotations

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Tensor, is_float

__all__ = ["default_target"]


def default_target(graph: Graph) -> Tensor:
    """Return the network's first float input of rank 3 or more, else its first float input.

    Where all inputs are integers, return the first float tensor computed from them.
    """
    images = [t for t in graph.inputs if is_float(t) and t.shape and len(t.shape) >= 3]
    for tensor in images or [t for t in graph.inputs if is_float(t)]:
        return tensor
    inputs = {t.name for t in graph.inputs}
    for node in graph.nodes:
        if any(t.name in inputs for t in node.inputs):
            for tensor in node.outputs:
                if is_float(tensor):
                    return tensor
            inputs.update(t.name for t in node.outputs)
    raise UnsupportedModel("the network has no float input to project back to: name one with `to`")
