"""The default target of an explanation, and the default layer of a class activation map."""

from __future__ import annotations

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Node, Tensor, attribute, is_float, rank_of, reads

__all__ = ["default_target", "last_convolutional_block"]

COPIES = {"Cast", "CastLike", "Dropout", "Identity"}
TO_CHANNELS_LAST = [0, 2, 3, 1]


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
