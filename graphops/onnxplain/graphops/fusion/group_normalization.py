"""GroupNormalization spelled as an InstanceNormalization of reshaped groups, as exporters do."""

from __future__ import annotations

from onnxplain.graphops.fusion.affine import affine
from onnxplain.graphops.fusion.fused import Flow, Fused
from onnxplain.graphops.ir import Node, Tensor, attribute, known_value

__all__ = ["group_normalization"]


def group_normalization(node: Node, flow: Flow) -> Fused | None:
    """Return Reshape, InstanceNormalization, Reshape, and Mul and Add where there are any."""
    scaled = affine(node, flow, "Reshape")
    if scaled is None:
        return None
    back, (scale, bias), members = scaled
    norm = _producer(back.inputs[0], "InstanceNormalization")
    there = _producer(norm.inputs[0], "Reshape") if norm is not None else None
    if norm is None or there is None:
        return None
    x, grouped = there.inputs[0], there.outputs[0]
    ones, zeros = (known_value(t) for t in norm.inputs[1:3])
    if ones is None or zeros is None or (ones != 1).any() or zeros.any():
        return None
    if x.shape is None or grouped.shape is None or back.outputs[0].shape is None:
        return None
    if len(grouped.shape) != 3 or list(back.outputs[0].shape[1:]) != list(x.shape[1:]):
        return None
    return Fused(
        "GroupNormalization",
        [x, *(t for t in (scale, bias) if t is not None)],
        [there, norm, back, *members],
        num_groups=ones.size,
        epsilon=attribute(norm, "epsilon", 1e-5),
    )


def _producer(tensor: Tensor, op: str) -> Node | None:
    node = tensor.inputs[0] if tensor.inputs else None
    return node if node is not None and node.op == op else None
