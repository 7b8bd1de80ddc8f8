"""The default ends of an explanation: picture, class score, last convolutional block."""

from __future__ import annotations

from onnxplain.graphops.analysis.inputs import needed_inputs
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Node, Tensor, attribute, is_float, rank_of, reads

__all__ = ["NORMALIZERS", "class_score", "default_target", "last_convolutional_block"]

# The operators that turn class scores into probabilities, and what their output is.
NORMALIZERS = {
    "Softmax": "probability",
    "Sigmoid": "probability",
    "LogSoftmax": "log probability",
}
SAME_VALUES = {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Dropout"}
COPIES = {"Cast", "CastLike", "Dropout", "Identity"}
TO_CHANNELS_LAST = [0, 2, 3, 1]


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


def last_convolutional_block(graph: Graph, score: Tensor | None) -> Tensor | None:
    """Return the last tensor with spatial axes before they are pooled or flattened into the score.

    It is Grad-CAM's default layer (Selvaraju et al. 2017). None where there is no convolution, or
    where the score itself has spatial axes, as in segmentation.
    """
    if score is None or _has_positions(score):
        return None
    ranks = {len(n.inputs[1].shape) for n in graph.nodes if n.op == "Conv" and n.inputs[1].shape}
    needed = {score.name}
    for node in reversed(graph.nodes):
        outputs = [t for t in node.outputs if t.name in needed]
        if not outputs:
            continue
        needed.update(t.name for t in reads(node))
        if is_float(outputs[0]) and _has_positions(outputs[0]) and not _copies(node):
            return outputs[0] if rank_of(outputs[0]) in ranks else None
    return None


def _has_positions(tensor: Tensor) -> bool:
    return tensor.shape is not None and any(size != 1 for size in tensor.shape[2:])


def _copies(node: Node) -> bool:
    """Tell whether the node's output has the values of its input, perhaps in another layout."""
    if node.op == "Transpose":
        return bool(attribute(node, "perm") == TO_CHANNELS_LAST)
    if node.op == "AveragePool":  # an adaptive pool that changes no size
        return bool(max(attribute(node, "kernel_shape")) == 1)
    return node.op in COPIES


def _unflattened(tensor: Tensor) -> Tensor:
    """Step back over the Flatten that the opset upgrade inserts before a Softmax."""
    node = tensor.inputs[0] if tensor.inputs else None
    if node is not None and node.op == "Flatten" and node.name.startswith("onnxplain/"):
        return node.inputs[0]
    return tensor
