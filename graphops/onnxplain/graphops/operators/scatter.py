"""ScatterElements and ScatterND, which put updates among data.

Where an update replaced an element, that one's signal is lost; where several came together, each
gets what the reduction has of it.
"""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.ir import HALF, Emitter, Node, Tensor, attribute, onnx_type
from onnxplain.graphops.operators.gather import indexed_batch
from onnxplain.graphops.operators.kinds import NO_PRODUCTS, NOT_FOLLOWED
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Rule, Signals, in_float32

__all__ = ["OPERATORS"]


def _scatter(op: Emitter, n: Node, g: Any) -> Signals:
    return REDUCTIONS[str(attribute(n, "reduction", "none"))](op, n, g)


def _replaced(op: Emitter, n: Node, g: Any) -> Signals:
    gone = op.zeros_like(n.inputs[2], g.dtype)
    return _put(op, n, g, gone, "none"), None, _at(op, n, g)


def _added(op: Emitter, n: Node, g: Any) -> Signals:
    return g, None, _at(op, n, g)


def _extreme(op: Emitter, n: Node, g: Any) -> Signals:
    """To all that are the maximum (or minimum), in equal shares."""
    data, _, updates = n.inputs
    y = n.outputs[0]
    if onnx_type(y) in HALF:  # y is rounded, where a runtime may read data as they were before
        y = _put(op, n, data, updates, attribute(n, "reduction"))
    kept = op.Cast(op.Equal(data, y), to=onnx_type(g))
    taken = op.Cast(op.Equal(updates, _at(op, n, y)), to=onnx_type(g))
    share = op.Div(g, _put(op, n, kept, taken, "add"))
    return op.Mul(share, kept), None, op.Mul(_at(op, n, share), taken)


def _product(op: Emitter, n: Node, g: Any) -> Signals:
    """The product of the others: of all over its own without zeros, and with one, only that's."""
    data, updates = _Factor(op, n.inputs[0], g), _Factor(op, n.inputs[2], g)
    product = op.Mul(g, _put(op, n, data.filled, updates.filled, "mul"))
    zeros = _put(op, n, data.zero, updates.zero, "add")
    to_updates = updates.beside(_at(op, n, product), _at(op, n, zeros))
    return data.beside(product, zeros), None, to_updates


class _Factor:
    """Factors with 1 in place of 0, and where that was."""

    def __init__(self, op: Emitter, x: Tensor, g: Tensor) -> None:
        empty = op.Equal(x, 0.0)
        self._op = op
        self.filled = op.Where(empty, 1.0, x)
        self.zero = op.Cast(empty, to=onnx_type(g))

    def beside(self, product: Tensor, zeros: Tensor) -> Tensor:
        """Return the product over the factor, 0 where another factor is."""
        alone = self._op.Equal(zeros, self.zero)
        return self._op.Where(alone, self._op.Div(product, self.filled), 0.0)


def _put(op: Emitter, n: Node, data: Tensor, updates: Tensor, reduction: str) -> Tensor:
    """Scatter as the node does, but other values and in another way."""
    attrs = {"axis": attribute(n, "axis", 0)} if n.op == "ScatterElements" else {}
    if reduction != "none":
        attrs["reduction"] = reduction
    return getattr(op, n.op)(data, n.inputs[1], updates, **attrs)


def _at(op: Emitter, n: Node, values: Tensor) -> Tensor:
    """Return the values at the places that updates went to."""
    index = n.inputs[1]
    if n.op == "ScatterND":
        return op.GatherND(values, index)
    return op.GatherElements(values, index, axis=attribute(n, "axis", 0))


REDUCTIONS: dict[str, Rule] = {
    "none": _replaced,
    "add": _added,
    **in_float32({"max": _extreme, "min": _extreme, "mul": _product}),
}

INDEXED = Without("its indices count the positions of one window")

OPERATORS: dict[str, Operator] = {
    "ScatterElements": Operator(
        _scatter, batch=indexed_batch, axes=NOT_FOLLOWED, slide=INDEXED, cost=NO_PRODUCTS
    ),
    "ScatterND": Operator(
        _scatter,
        batch=Without("its indices count the images too, so that constant ones fix their number"),
        axes=NOT_FOLLOWED,
        slide=INDEXED,
        cost=NO_PRODUCTS,
    ),
}
