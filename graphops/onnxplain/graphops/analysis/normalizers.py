"""The ends of networks: what turns scores into probabilities, quantises them or lays them out."""

from __future__ import annotations

from onnxplain.graphops.analysis.kept_part import drops_batch
from onnxplain.graphops.ir import Node, Tensor

__all__ = [
    "LAYOUTS",
    "NORMALIZERS",
    "PARTS",
    "QUANTIZED",
    "inserted_flatten",
    "is_linear_score",
    "scores_of",
    "uncut",
    "unquantized",
    "with_batch",
]

# The operators that turn class scores into probabilities, and what their output is.
NORMALIZERS = {
    "Softmax": "probability",
    "Sigmoid": "probability",
    "LogSoftmax": "log probability",
}
LAYOUTS = {"Cast", "CastLike", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
PARTS = {"Gather", "GatherElements", "GatherND", "Slice", "Split"}
QUANTIZED = {"QuantizeLinear", "DequantizeLinear"}


def scores_of(node: Node) -> Tensor | None:
    """Return the scores whose probabilities the node computes; None for any other node."""
    if node.op in NORMALIZERS:
        return node.inputs[0]
    maker = node.inputs[0].inputs[0] if node.inputs and node.inputs[0].inputs else None
    if node.op == "Exp" and maker is not None and maker.op == "LogSoftmax":
        return maker.inputs[0]
    if node.op != "Div" or not all(t.inputs for t in node.inputs):
        return None
    powers, total = (t.inputs[0] for t in node.inputs)
    if powers.op != "Exp" or total.op != "ReduceSum" or total.inputs[0] is not node.inputs[0]:
        return None  # no softmax spelled out
    scores: Tensor = powers.inputs[0]
    shift = scores.inputs[0] if scores.inputs else None
    if shift is not None and shift.op == "Sub" and shift.inputs[1].inputs:
        greatest = shift.inputs[1].inputs[0]
        if greatest.op == "ReduceMax" and greatest.inputs[0] is shift.inputs[0]:
            scores = shift.inputs[0]
    return scores


def unquantized(tensor: Tensor) -> Tensor:
    """Step back over the last quantisation, if only the layout changes behind it."""
    best = current = tensor
    while current.inputs and current.inputs[0].op in QUANTIZED | LAYOUTS:
        node = current.inputs[0]
        current = node.inputs[0]
        if node.op == "QuantizeLinear":
            best = current
    return best


def uncut(tensor: Tensor) -> Tensor:
    """Step back to the tensor that a part was cut out of."""
    while tensor.inputs and tensor.inputs[0].op in PARTS | LAYOUTS:
        tensor = tensor.inputs[0].inputs[0]
    return tensor


def with_batch(tensor: Tensor) -> Tensor:
    """Step back over a node that removes the batch axis, of one image."""
    node = tensor.inputs[0] if tensor.inputs else None
    if node is not None and node.op in ("Gather", "Reshape", "Squeeze") and drops_batch(node):
        return node.inputs[0]
    return tensor


def inserted_flatten(tensor: Tensor) -> Node | None:
    """Return the Flatten that the opset upgrade inserts before a Softmax, None without it."""
    node = tensor.inputs[0] if tensor.inputs else None
    if node is not None and node.op == "Flatten" and node.name.startswith("onnxplain/"):
        return node
    return None


def is_linear_score(tensor: Tensor) -> bool:
    """Tell whether these are the scores that canonicalisation writes beside a LinearClassifier."""
    return tensor.name.startswith("onnxplain/") and tensor.name.endswith("/scores")
