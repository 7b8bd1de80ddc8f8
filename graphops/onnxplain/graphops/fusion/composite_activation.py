"""Composite activations: any group of nodes that is an element-wise function of one tensor.

x·sigmoid(x), x·Clip(x + 3, 0, 6)/6, x/2·(1 + erf(x/√2)), x·tanh(softplus(x)) and their like are
recognised by what they depend on, whatever their form, order and constants.
"""

from __future__ import annotations

import math

from onnxplain.graphops.fusion.fused import ACTIVATION, Flow, Fused
from onnxplain.graphops.ir import Node, Tensor, is_float, known_value
from onnxplain.graphops.operators import is_elementwise

__all__ = ["activation"]

# Factors behind a group that belong to it, and operators of the groups: GELU's half, and the sixth
# of x·Clip(x + 3, 0, 6).
FACTORS = {1 / 2: ("Erf", "Tanh"), 1 / 6: ("Clip", "Max", "Min", "Relu")}


def activation(node: Node, flow: Flow) -> Fused | None:
    """Return the group that ends where branches of one tensor meet again, element by element.

    The group begins at the last float tensor through which all of them pass.
    """
    if len(flow.varying(node)) < 2:
        return _with_factor(node, flow)
    if not _keeps_elements(node, flow):
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


def _with_factor(node: Node, flow: Flow) -> Fused | None:
    """Return the group before a multiplication, with that, where the factor is one of FACTORS."""
    x = flow.varying(node)[0]
    if node.op not in ("Div", "Mul") or not x.inputs or len(flow.varying(x.inputs[0])) < 2:
        return None
    other = node.inputs[1] if node.inputs[0] is x else node.inputs[0]
    value = known_value(other) if node.op == "Mul" or other is node.inputs[1] else None
    if value is None or value.size != 1 or not _fits(other, x):
        return None
    factor = float(value.ravel()[0]) if node.op == "Mul" else 1 / float(value.ravel()[0])
    operators = [ops for known, ops in FACTORS.items() if math.isclose(known, factor, rel_tol=1e-3)]
    group = activation(x.inputs[0], flow) if operators else None
    if group is None or not any(m.op in operators[0] for m in group.members):
        return None
    return Fused(ACTIVATION, group.inputs, [*group.members, node])


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
