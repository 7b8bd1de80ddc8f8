"""The default target of an explanation: the picture."""

from __future__ import annotations

from onnxplain.graphops.analysis.inputs import needed_inputs
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Tensor, is_float

__all__ = ["default_target"]


def default_target(graph: Graph, layer: Tensor | None = None) -> Tensor:
    """Return the network's first float input of rank 3 or more, else its first float input.

    Of several inputs, those that `layer` depends on come first. Where all inputs are integers,
    return the first float tensor computed from them.
    """
    inputs = graph.inputs
    if layer is not None and len(inputs) > 1:
        inputs = needed_inputs(graph, layer) or inputs
    floats = [t for t in inputs if is_float(t)]
    for tensor in [*(t for t in floats if t.shape and len(t.shape) >= 3), *floats]:
        return tensor
    known = {t.name for t in inputs}
    for node in graph.nodes:
        if any(t.name in known for t in node.inputs):
            for tensor in node.outputs:
                if is_float(tensor):
                    return tensor
            known.update(t.name for t in node.outputs)
    raise UnsupportedModel("the network has no float input to project back to: name one with `to`")
