"""LayerNormalization, InstanceNormalization and RMSNormalization spelled out.

With m the mean over some axes: (x − m(x))/√(m((x − m(x))²) + ε), or x/√(m(x²) + ε), and perhaps
scaled and shifted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from onnxplain.graphops.fusion.affine import affine
from onnxplain.graphops.fusion.fused import Flow, Fused
from onnxplain.graphops.ir import Node, Tensor, attribute, known_value, optional_input

__all__ = ["normalization"]

KEPT = ("Cast", "Dropout", "Identity")


@dataclass
class Search:
    """The nodes passed so far on the way from a normalisation's output to its input."""

    flow: Flow
    members: list[Node] = field(default_factory=list)

    def node(self, tensor: Tensor, *ops: str) -> Node | None:
        """Return the node of one of these operators that computes the tensor, perhaps cast."""
        passed = []
        while tensor.inputs:
            node = tensor.inputs[0]
            passed.append(node)
            if node.op in ops:
                self.members += passed
                return node
            if node.op not in KEPT:
                return None
            tensor = node.inputs[0]
        return None

    def number(self, tensor: Tensor) -> float | None:
        """Return the value of a constant that is one number."""
        value = known_value(tensor) if self.flow.is_constant(tensor) else None
        return float(value.ravel()[0]) if value is not None and value.size == 1 else None


def normalization(node: Node, flow: Flow) -> Fused | None:
    """Return the normalisation that ends at the node."""
    if node.op not in ("Add", "Div", "Mul"):
        return None
    scaled = affine(node, flow, "Div", "Mul")
    if scaled is None:
        return None
    divided, (scale, bias), behind = scaled
    search = Search(flow, [divided, *behind])
    found = _standardized(divided, search)
    if found is None:
        return None
    x, axes, epsilon, is_centred = found
    op = _operator(x, axes, scale, is_centred) if axes else None
    if op is None:
        return None
    inputs = [x, *(t for t in (scale, bias) if t is not None)]
    return Fused(op, inputs, flow.in_order(search.members), axes=axes, epsilon=epsilon)


def _operator(x: Tensor, axes: list[int], scale: Tensor | None, is_centred: bool) -> str | None:
    """Return the operator: one scale for each element that the mean is over, or one per channel."""
    rank = len(x.shape or ())
    if scale is None or scale.shape is None:
        along: set[int] = set()
    else:
        sizes = list(enumerate(scale.shape, rank - len(scale.shape)))
        along = {i for i, size in sizes if size != 1}
    if along <= set(axes):
        return "LayerNormalization" if is_centred else "RMSNormalization"
    spatial = axes == list(range(2, rank))
    return "InstanceNormalization" if is_centred and spatial and along == {1} else None


def _standardized(node: Node, search: Search) -> tuple[Tensor, list[int], float, bool] | None:
    """Return x, the axes, ε, and whether the mean is subtracted, of centred/√(variance + ε)."""
    for numerator, factor in _numerators(node):
        start = len(search.members)
        root = _root(factor, search, node.op == "Div")
        variance = _behind_epsilon(root, search) if root is not None else None
        mean = search.node(variance[0], "ReduceMean") if variance is not None else None
        square = search.node(mean.inputs[0], "Mul", "Pow") if mean is not None else None
        if variance is not None and mean is not None and square is not None:
            found = _centred(numerator, square, mean, search)
            if found is not None:
                x, is_centred = found
                return x, _axes(mean, x), variance[1], is_centred
        del search.members[start:]
    return None


def _numerators(node: Node) -> list[tuple[Tensor, Tensor]]:
    a, b = node.inputs
    return [(a, b)] if node.op == "Div" else [(a, b), (b, a)]


def _root(tensor: Tensor, search: Search, divides: bool) -> Tensor | None:
    """Return v, where the tensor is √v, or 1/√v if it does not divide."""
    node = search.node(tensor, "Div", "Pow", "Reciprocal", "Sqrt")
    if node is not None and not divides and node.op in ("Div", "Reciprocal"):
        if node.op == "Div" and search.number(node.inputs[0]) != 1:
            return None
        node, divides = search.node(node.inputs[-1], "Pow", "Sqrt"), True
    if node is None:
        return None
    if node.op == "Pow":
        exponent = 0.5 if divides else -0.5
        return node.inputs[0] if search.number(node.inputs[1]) == exponent else None
    return node.inputs[0] if divides and node.op == "Sqrt" else None


def _behind_epsilon(tensor: Tensor, search: Search) -> tuple[Tensor, float] | None:
    node = search.node(tensor, "Add")
    if node is None:
        return None
    for variance, epsilon in ((0, 1), (1, 0)):
        value = search.number(node.inputs[epsilon])
        if value is not None:
            return node.inputs[variance], value
    return None


def _centred(
    numerator: Tensor, square: Node, mean: Node, search: Search
) -> tuple[Tensor, bool] | None:
    """Return x and whether its mean is subtracted, both in the numerator and before the square."""
    if square.op == "Pow":
        if search.number(square.inputs[1]) != 2:
            return None
    elif square.inputs[0] is not square.inputs[1]:
        return None
    squared = square.inputs[0]
    if squared is numerator and not _is_difference(squared):
        return numerator, False
    inside = _less_its_mean(squared, mean, search)
    outside = _less_its_mean(numerator, mean, search)
    if inside is not None and inside is outside:
        return inside, True
    return (numerator, False) if squared is numerator else None


def _is_difference(tensor: Tensor) -> bool:
    return bool(tensor.inputs) and tensor.inputs[0].op in (*KEPT, "Sub")


def _less_its_mean(tensor: Tensor, like: Node, search: Search) -> Tensor | None:
    """Return x, where the tensor is x less its mean over the axes of another ReduceMean."""
    start = len(search.members)
    node = search.node(tensor, "Sub")
    mean = search.node(node.inputs[1], "ReduceMean") if node is not None else None
    if node is not None and mean is not None and mean.inputs[0] is node.inputs[0]:
        x = node.inputs[0]
        if _axes(mean, x) and _axes(mean, x) == _axes(like, x):
            return x
    del search.members[start:]
    return None


def _axes(mean: Node, x: Tensor) -> list[int]:
    """Return the axes of a ReduceMean that keeps them, counted from the front, sorted."""
    given = optional_input(mean, 1)
    axes = known_value(given) if given is not None else attribute(mean, "axes")
    if axes is None or x.shape is None or not attribute(mean, "keepdims", 1):
        return []
    return sorted(int(axis) % len(x.shape) for axis in np.ravel(axes))
