"""Composite activations: any group of nodes that is an element-wise function of one tensor.

x·sigmoid(x), x·Clip(x + 3, 0, 6)/6, x/2·(1 + erf(x/√2)), x·tanh(softplus(x)) and their like are
recognised by what they depend on, whatever their form, order and constants.
"""

from __future__ import annotations

from onnxplain.graphops.fusion.fused import ACTIVATION, Flow, Fused
from onnxplain.graphops.ir import Node, Tensor, is_float
from onnxplain.graphops.operators import is_elementwise

__all__ = ["activation"]


def activation(node: Node, flow: Flow) -> Fused | None:
    """Return the group that ends where branches of one tensor meet again, element by element.

    The group begins at the last float tensor through which all of them pass. A factor of one number
    behind it, such as GELU's 1/2, belongs to it.
    """
    before = _before_factor(node, flow)
    inner = None if before is None else _branches(before, flow)
    if inner is None:
        return _branches(node, flow)
    return Fused(ACTIVATION, inner.inputs, [*inner.members, node])


def _before_factor(node: Node, flow: Flow) -> Node | None:
    """Return the node whose output is multiplied by one constant number, or divided by one."""
    varying = flow.varying(node)
    if node.op not in ("Div", "Mul") or len(varying) != 1 or not varying[0].inputs:
        return None
    (factor,) = (t for t in node.inputs if t is not varying[0])
    is_divisor = node.op == "Mul" or factor is node.inputs[1]
    is_number = factor.shape is not None and all(size == 1 for size in factor.shape)
    return (
        varying[0].inputs[0] if is_divisor and is_number and _keeps_elements(node, flow) else None
    )


def _branches(node: Node, flow: Flow) -> Fused | None:
    """Return the group that ends where branches of one tensor meet again."""
    if len(flow.varying(node)) < 2 or not _keeps_elements(node, flow):
        return None
    y, members = node.outputs[0], [node]
    ends = {t.name: t for t in flow.varying(node)}
    while True:
        latest = max(ends.values(), key=lambda t: flow.order[t.name])
        if len(ends) == 1 and is_float(latest):
            break
        if not latest.inputs or not _keeps_elements(latest.inputs[0], flow):
            return None
        members.append(latest.inputs[0])
        del ends[latest.name]
        ends |= {t.name: t for t in flow.varying(latest.inputs[0])}
    if not all(_has_shape_of(m.outputs[0], latest) for m in members) or not is_float(y):
        return None
    return Fused(ACTIVATION, [latest], flow.in_order(members))


def _keeps_elements(node: Node, flow: Flow) -> bool:
    """Tell whether each element of the output depends on the same element of varying inputs."""
    if not is_elementwise(node) or len([t for t in node.outputs if not t.is_empty()]) != 1:
        return False
    x = flow.varying(node)[0]
    return all(_fits(t, x) for t in node.inputs if not t.is_empty() and flow.is_constant(t))


def _fits(constant: Tensor, x: Tensor) -> bool:
    """Tell whether broadcasting against the constant leaves x's shape as it is."""
    if constant.shape is None:
        return False
    if x.shape is None:
        return len(constant.shape) == 0
    if len(constant.shape) > len(x.shape):
        return False
    behind = x.shape[len(x.shape) - len(constant.shape) :]
    return all(c == 1 or c == size for c, size in zip(constant.shape, behind, strict=True))


def _has_shape_of(tensor: Tensor, x: Tensor) -> bool:
    return tensor.shape is None or x.shape is None or list(tensor.shape) == list(x.shape)
