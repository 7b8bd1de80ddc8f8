"""The default ends of an explanation: picture and class score."""

from __future__ import annotations

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Tensor, is_float

__all__ = ["NORMALIZERS", "class_score", "default_target"]

# The operators that turn class scores into probabilities, and what their output is.
NORMALIZERS = {
    "Softmax": "probability",
    "Sigmoid": "probability",
    "LogSoftmax": "log probability",
}
SAME_VALUES = {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Dropout"}


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


def class_score(graph: Graph) -> Tensor | None:
    """Return the network's first float output, before a final Softmax, LogSoftmax or Sigmoid."""
    output = next((t for t in graph.outputs if is_float(t)), None)
    tensor = output
    while tensor is not None and tensor.inputs:
        node = tensor.inputs[0]
        if node.op in NORMALIZERS:
            return _unflattened(node.inputs[0])
        if node.op not in SAME_VALUES:
            break
        tensor = node.inputs[0]
    return output


def _unflattened(tensor: Tensor) -> Tensor:
    """Step back over the Flatten that the opset upgrade inserts before a Softmax."""
    node = tensor.inputs[0] if tensor.inputs else None
    if node is not None and node.op == "Flatten" and node.name.startswith("onnxplain/"):
        return node.inputs[0]
    return tensor
