"""ScatterElements and ScatterND, which write updates into data.

An element that an update replaces gets no signal; elements and updates that are reduced together
get the derivatives of the reduction.
"""

from __future__ import annotations

from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, is_half, onnx_type
from onnxplain.graphops.operators import roles
from onnxplain.graphops.operators.constructors import INDEXED, NOT_FOLLOWED
from onnxplain.graphops.operators.gather import indexed_batch
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.rules import Rule, Signals, in_float32

__all__ = ["OPERATORS"]


def _scatter(op: Emitter, n: Node, g: Tensor) -> Signals:
    return REDUCTIONS[str(attribute(n, "reduction", "none"))](op, n, g)


def _replaced(op: Emitter, n: Node, g: Tensor) -> Signals:
    gone = op.zeros_like(n.inputs[2], g.dtype)
    return _put(op, n, g, gone, "none"), None, _at(op, n, g)


def _added(op: Emitter, n: Node, g: Tensor) -> Signals:
    return g, None, _at(op, n, g)


def _extreme(op: Emitter, n: Node, g: Tensor) -> Signals:
    """All that equal the maximum (or minimum) get equal shares of the signal."""
    data, _, updates = n.inputs
    y = n.outputs[0]
    if is_half(y):  # y is rounded, while a runtime may read data before their rounding
        y = _put(op, n, data, updates, attribute(n, "reduction"))
    kept = op.Cast(op.Equal(data, y), to=onnx_type(g))
    taken = op.Cast(op.Equal(updates, _at(op, n, y)), to=onnx_type(g))
    share = op.Div(g, _put(op, n, kept, taken, "add"))
    return op.Mul(share, kept), None, op.Mul(_at(op, n, share), taken)


def _product(op: Emitter, n: Node, g: Tensor) -> Signals:
    """g times the product of the other factors; a single zero is the only one to get a signal."""
    data, updates = _Factor(op, n.inputs[0], g), _Factor(op, n.inputs[2], g)
    product = op.Mul(g, _put(op, n, data.filled, updates.filled, "mul"))
    zeros = _put(op, n, data.zero, updates.zero, "add")
    to_updates = updates.beside(_at(op, n, product), _at(op, n, zeros))
    return data.beside(product, zeros), None, to_updates


class _Factor:
    """Factors with 1 instead of 0, and where they are 0."""

    def __init__(self, op: Emitter, x: Tensor, g: Tensor) -> None:
        empty = op.Equal(x, 0.0)
        self._op = op
        self.filled = op.Where(empty, 1.0, x)
        self.zero = op.Cast(empty, to=onnx_type(g))

    def beside(self, product: Tensor, zeros: Tensor) -> Tensor:
        """Return the product over the factor, 0 where another factor is 0."""
        alone = self._op.Equal(zeros, self.zero)
        return self._op.Where(alone, self._op.Div(product, self.filled), 0.0)


def _put(op: Emitter, n: Node, data: Tensor, updates: Tensor, reduction: str) -> Tensor:
    """Scatter other values to the node's indices, with this reduction."""
    attrs = {"axis": attribute(n, "axis", 0)} if n.op == "ScatterElements" else {}
    if reduction != "none":
        attrs["reduction"] = reduction
    return op.many(n.op, data, n.inputs[1], updates, outputs=1, **attrs)[0]


def _at(op: Emitter, n: Node, values: Tensor) -> Tensor:
    """Return the values at the node's indices."""
    index = n.inputs[1]
    if n.op == "ScatterND":
        return op.GatherND(values, index)
    return op.GatherElements(values, index, axis=attribute(n, "axis", 0))


REDUCTIONS: dict[str, Rule] = {
    "none": _replaced,
    "add": _added,
    **in_float32({"max": _extreme, "min": _extreme, "mul": _product}),
}

OPERATORS: dict[str, Operator] = {
    "ScatterElements": Operator(
        _scatter, batch=indexed_batch, axes=NOT_FOLLOWED, slide=INDEXED, roles=roles.same
    ),
    "ScatterND": Operator(
        _scatter,
        batch=Without("its indices count the images too, and constant ones fix their number"),
        axes=NOT_FOLLOWED,
        slide=INDEXED,
        roles=roles.same,
    ),
}
