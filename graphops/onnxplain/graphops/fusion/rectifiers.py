"""Rectifiers spelled in several nodes: ReLU6 as min(max(x, 0), 6), and ReLU as x·[x > 0]."""

from __future__ import annotations

from onnxplain.graphops.fusion.fused import Flow, Fused
from onnxplain.graphops.ir import Node, Tensor, constant, known_value, optional_input
from onnxplain.graphops.operators import is_rectifier, rectified

__all__ = ["bounded_rectifier", "masked_rectifier"]


def bounded_rectifier(node: Node, flow: Flow) -> Fused | None:
    """Return the Clip that a rectifier and a minimum with a constant spell, in either order."""
    varying = flow.varying(node)
    before = varying[0].inputs[0] if len(varying) == 1 and varying[0].inputs else None
    if before is None or len(flow.varying(before)) != 1:
        return None
    for rectifier, minimum in ((before, node), (node, before)):
        upper = _upper_bound(minimum, flow)
        if upper is not None and _is_unbounded_rectifier(rectifier):
            zero = constant(f"{node.name}/zero", 0.0)  # not read: the lower bound makes a rectifier
            return Fused("Clip", [flow.varying(before)[0], zero, upper], [before, node])
    return None


def masked_rectifier(node: Node, flow: Flow) -> Fused | None:
    """Return the Relu that a comparison of x with zero and a Mul or Where of x spell."""
    varying = flow.varying(node)
    if len(varying) != 2 or not is_rectifier(node):
        return None
    x, members = rectified(node), [node]
    (mask,) = (t for t in varying if t is not x)
    while mask is not x:
        members.append(mask.inputs[0])
        (mask,) = flow.varying(mask.inputs[0])
    return Fused("Relu", [x], flow.in_order(members))


def _is_unbounded_rectifier(node: Node) -> bool:
    return is_rectifier(node) and (node.op != "Clip" or optional_input(node, 2) is None)


def _upper_bound(node: Node, flow: Flow) -> Tensor | None:
    """Return the positive number that the node limits its input to, which may be all it does."""
    if node.op == "Min" and len(node.inputs) == 2:
        bound = next((t for t in node.inputs if flow.is_constant(t)), None)
    elif node.op == "Clip" and optional_input(node, 1) is None:
        bound = optional_input(node, 2)
    else:
        return None
    value = known_value(bound) if bound is not None else None
    return bound if value is not None and value.size == 1 and (value > 0).all() else None
