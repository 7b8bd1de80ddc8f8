"""The layers that people usually explain: the class score, and that of class activation maps."""

from __future__ import annotations

from onnxplain.graphops.graph import Graph, Node, Tensor, attribute, is_float, reads

__all__ = ["last_convolutional_block"]

COPIES = {"Cast", "CastLike", "Dropout", "Identity"}
TO_CHANNELS_LAST = [0, 2, 3, 1]


def last_convolutional_block(graph: Graph, score: Tensor | None) -> Tensor | None:
    """Return the last tensor with positions before they are pooled or flattened into the score.

    That is what Grad-CAM looks at (Selvaraju et al. 2017). None where there is no convolution, or
    where the score has positions itself, as in segmentation.
    """
    if score is None or _has_positions(score):
        return None
    rank = {len(n.inputs[1].shape) for n in graph.nodes if n.op == "Conv" and n.inputs[1].shape}
    needed = {score.name}
    for node in reversed(graph.nodes):
        made = [t for t in node.outputs if t.name in needed]
        if not made:
            continue
        needed.update(t.name for t in reads(node))
        if is_float(made[0]) and _has_positions(made[0]) and not _copies(node):
            return made[0] if len(made[0].shape) in rank else None
    return None


def _has_positions(tensor: Tensor) -> bool:
    return tensor.shape is not None and any(size != 1 for size in tensor.shape[2:])


def _copies(node: Node) -> bool:
    """Tell whether the node only hands on, perhaps in another order, what was made before it."""
    if node.op == "Transpose":
        return bool(attribute(node, "perm") == TO_CHANNELS_LAST)
    if node.op == "AveragePool":  # as an adaptive pool is exported that has nothing to do
        return bool(max(attribute(node, "kernel_shape")) == 1)
    return node.op in COPIES
