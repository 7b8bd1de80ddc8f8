"""All forms of a rectifier, and how methods replace its rule by their own."""

from __future__ import annotations

from collections.abc import Callable

from onnxplain.graphops.ir import Emitter, Node, Tensor, known_value, optional_input
from onnxplain.graphops.operators.rules import Rule, Signals, Table, to_first

__all__ = ["PLACES", "clip", "gate", "is_rectifier", "rectified", "rectifiers"]


def gate(op: Emitter, n: Node, g: Tensor) -> Tensor:
    """Pass the signal where the rectifier passes its input: g·[0 < x < a], which is g·[0 < y < a].

    With y read instead of x, the rectifier is the only reader of x, so that runtimes can fuse it
    with the convolution before it; OpenVINO's int8 kernels are wrong where x has other readers.
    """
    y = n.outputs[0]
    passed = op.Greater(y, 0.0)
    upper = _bound(n, 2)
    if upper is not None:
        passed = op.And(passed, op.Less(y, upper))
    return op.Where(passed, g, 0.0)


def rectified(n: Node) -> Tensor:
    """Return the input that the node rectifies, the first input if it is no rectifier."""
    return n.inputs[_rectified_input(n) or 0]


def is_rectifier(n: Node) -> bool:
    """Tell whether the node is max(x, 0), perhaps with an upper bound, in any of its forms.

    Relu, Clip with the lower bound 0, Max(x, 0), Mul(x, Cast(x > 0)), Where(x > 0, x, 0).
    """
    return _rectified_input(n) is not None


def rectifiers(table: Table, rule: Rule) -> dict[str, Rule]:
    """Return the rules of PLACES: `rule` for nodes that are rectifiers, else that of `table`."""

    def replaced(otherwise: Rule) -> Rule:
        def choose(op: Emitter, n: Node, g: Tensor) -> Signals:
            index = _rectified_input(n)
            if index is None:
                return otherwise(op, n, g)
            (signal,) = rule(op, n, g)
            return tuple(signal if i == index else None for i in range(len(n.inputs)))

        return choose

    return {name: replaced(table[name]) for name in PLACES}


def clip(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Pass the signal within the bounds, including them unless the clip is a rectifier."""
    if is_rectifier(n):
        return to_first(n, gate(op, n, g))
    x, lower, upper = n.inputs[0], _bound(n, 1), _bound(n, 2)
    if lower is not None:
        g = op.Where(op.GreaterOrEqual(x, lower), g, 0.0)
    if upper is not None:
        g = op.Where(op.LessOrEqual(x, upper), g, 0.0)
    return to_first(n, g)


def _bound(n: Node, index: int) -> Tensor | None:
    return optional_input(n, index) if n.op == "Clip" else None


def _rectified_input(n: Node) -> int | None:
    """Return the index of the input that the node rectifies, None where it is no rectifier."""
    index = PLACES[n.op](n) if n.op in PLACES else None
    if index is None:
        return None
    x, y = n.inputs[index].shape, n.outputs[0].shape
    higher = x is not None and y is not None and len(x) < len(y)  # the zero adds axes
    return None if higher else index


def _is_zero(tensor: Tensor | None) -> bool:
    """Tell whether the tensor is a single zero."""
    value = known_value(tensor) if tensor is not None else None
    return value is not None and value.size == 1 and not value.any()


def _in_max(n: Node) -> int | None:
    if len(n.inputs) != 2:
        return None
    zeros = [_is_zero(t) for t in n.inputs]
    return zeros.index(False) if sum(zeros) == 1 else None


def _in_mul(n: Node) -> int | None:
    for x, mask in ((0, 1), (1, 0)):
        cast = n.inputs[mask].inputs
        if cast and cast[0].op == "Cast" and _tests_above_zero(cast[0].inputs[0], n.inputs[x]):
            return x
    return None


def _in_where(n: Node) -> int | None:
    condition, x, otherwise = n.inputs
    return 1 if _is_zero(otherwise) and _tests_above_zero(condition, x) else None


def _tests_above_zero(condition: Tensor, x: Tensor) -> bool:
    if not condition.inputs:
        return False
    test = condition.inputs[0]
    if test.op == "Greater":
        return test.inputs[0] is x and _is_zero(test.inputs[1])
    return bool(test.op == "Less" and test.inputs[1] is x and _is_zero(test.inputs[0]))


# For each operator that may be a rectifier, the function that returns which input it rectifies.
PLACES: dict[str, Callable[[Node], int | None]] = {
    "Relu": lambda n: 0,
    "Clip": lambda n: 0 if _is_zero(_bound(n, 1)) else None,
    "Max": _in_max,
    "Mul": _in_mul,
    "Where": _in_where,
}
