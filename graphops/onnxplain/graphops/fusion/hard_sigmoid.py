"""HardSigmoid spelled as Clip(x + 3, 0, 6)/6 or as Clip(x/6 + 1/2, 0, 1)."""

from __future__ import annotations

import math

from onnxplain.graphops.fusion.fused import Flow, Fused
from onnxplain.graphops.fusion.rectifiers import bounded_rectifier
from onnxplain.graphops.ir import Node, Tensor, known_value, optional_input
from onnxplain.graphops.operators import is_rectifier

__all__ = ["hard_sigmoid"]


def hard_sigmoid(node: Node, flow: Flow) -> Fused | None:
    """Return the group clip(α·x + β, 0, 1), of which the clip's output or its input is scaled.

    Without a shift it is a ReLU6, and without a scale a rectifier behind a bias.
    """
    division = _affine(node, flow)
    behind = division is not None and division[2] == 0 and bool(division[0].inputs)
    scale = division[1] if behind and division is not None else 1.0
    clip = _clip(division[0].inputs[0] if behind and division is not None else node, flow)
    if clip is None or not math.isclose(clip[1] * scale, 1, rel_tol=1e-3):
        return None
    x, _, members = clip
    shifted = _affine(x.inputs[0], flow) if x.inputs else None
    if shifted is None or not 0 < shifted[2] * scale < 1:
        return None
    members, x, slope = [x.inputs[0], *members, *([node] if behind else [])], shifted[0], scale
    scaled = _affine(x.inputs[0], flow) if x.inputs else None
    if not behind and (scaled is None or scaled[2] != 0 or scaled[1] <= 0):
        return None
    if not behind and scaled is not None:
        members, x, slope = [x.inputs[0], *members], scaled[0], scaled[1]
    return Fused("HardSigmoid", [x], members, alpha=slope, beta=shifted[2] * scale)


def _clip(node: Node, flow: Flow) -> tuple[Tensor, float, list[Node]] | None:
    """Return x, the upper bound and the nodes of a clip from zero to a bound."""
    group = bounded_rectifier(node, flow)
    upper = optional_input(node, 2) if node.op == "Clip" and is_rectifier(node) else None
    bound = group.inputs[2] if group is not None else upper
    value = known_value(bound) if bound is not None else None
    if value is None or value.size != 1:
        return None
    if group is not None:
        return group.inputs[0], float(value.ravel()[0]), list(group.members)
    return node.inputs[0], float(value.ravel()[0]), [node]


def _affine(node: Node, flow: Flow) -> tuple[Tensor, float, float] | None:
    """Return x, a and b where the node computes a·x + b with one of the numbers."""
    if node.op not in ("Add", "Div", "Mul", "Sub") or len(flow.varying(node)) != 1:
        return None
    (x,) = flow.varying(node)
    other = node.inputs[1] if node.inputs[0] is x else node.inputs[0]
    value = known_value(other)
    if value is None or value.size != 1 or (node.op in ("Div", "Sub") and x is node.inputs[1]):
        return None
    number = float(value.ravel()[0])
    if node.op in ("Add", "Sub"):
        return x, 1.0, number if node.op == "Add" else -number
    return x, number if node.op == "Mul" else 1 / number, 0.0
