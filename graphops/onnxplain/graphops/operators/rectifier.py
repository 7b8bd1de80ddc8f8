"""What a rectifier is, however it is written, and how methods put their own rule in its place."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.ir import Emitter, Node, Tensor, known_value
from onnxplain.graphops.operators.table import Rule, Signals, Table

__all__ = ["PLACES", "clip", "gate", "is_rectifier", "rectified", "rectifiers"]


def gate(op: Emitter, n: Node, g: Tensor) -> Tensor:
    """Pass the signal where the rectifier passed its input: g·[0 < x < a].

    That is where 0 < y < a. Reading y leaves x to the rectifier alone, so that runtimes can fuse it
    with the convolution before it; OpenVINO's int8 kernels are wrong where x has other readers.
    """
    y = n.outputs[0]
    passed = op.Greater(y, 0.0)
    upper = _bound(n, 2)
    if upper is not None:
        passed = op.And(passed, op.Less(y, upper))
    return op.Where(passed, g, 0.0)


def rectified(n: Node) -> Tensor:
    """Return what the rectifier rectifies, the first input of any other node."""
    return n.inputs[_place(n) or 0]


def is_rectifier(n: Node) -> bool:
    """Tell whether the node is max(x, 0), perhaps with an upper bound, in any of its spellings.

    Relu, Clip from 0 up, Max with 0, x times whether x is above 0, Where(x > 0, x, 0).
    """
    return _place(n) is not None


def rectifiers(table: Table, rule: Rule) -> dict[str, Rule]:
    """Return a table in which every rectifier follows `rule`, and all else does as in `table`."""

    def replaced(otherwise: Rule) -> Rule:
        def choose(op: Emitter, n: Node, g: Any) -> Signals:
            place = _place(n)
            if place is None:
                return otherwise(op, n, g)
            (signal,) = rule(op, n, g)
            return tuple(signal if i == place else None for i in range(len(n.inputs)))

        return choose

    return {name: replaced(table[name]) for name in PLACES}


def clip(op: Emitter, n: Node, g: Any) -> Signals:
    """Pass the signal within the bounds, which count where the clip is no rectifier."""
    signal = g
    if is_rectifier(n):
        signal = gate(op, n, g)
    else:
        x, lower, upper = n.inputs[0], _bound(n, 1), _bound(n, 2)
        if lower is not None:
            signal = op.Where(op.GreaterOrEqual(x, lower), signal, 0.0)
        if upper is not None:
            signal = op.Where(op.LessOrEqual(x, upper), signal, 0.0)
    return (signal, *(None for _ in n.inputs[1:]))


def _bound(n: Node, index: int) -> Tensor | None:
    given = n.op == "Clip" and len(n.inputs) > index and not n.inputs[index].is_empty()
    return n.inputs[index] if given else None


def _place(n: Node) -> int | None:
    """Return which input the node rectifies, None where it is no rectifier."""
    find = PLACES.get(n.op)
    place: int | None = find(n) if find is not None else None
    if place is None:
        return None
    x, y = n.inputs[place].shape, n.outputs[0].shape
    higher = x is not None and y is not None and len(x) < len(y)  # the zero brought further axes
    return None if higher else place


def _is_zero(tensor: Tensor | None) -> bool:
    """Tell whether the tensor is one zero, which broadcasts."""
    value = known_value(tensor) if tensor is not None else None
    return value is not None and value.size == 1 and not value.any()


def _in_max(n: Node) -> int | None:
    if len(n.inputs) != 2:
        return None
    zeros = [_is_zero(t) for t in n.inputs]
    return zeros.index(False) if sum(zeros) == 1 else None


def _in_mul(n: Node) -> int | None:
    for mine, mask in ((0, 1), (1, 0)):
        made = n.inputs[mask].inputs
        if made and made[0].op == "Cast" and _tests_above_zero(made[0].inputs[0], n.inputs[mine]):
            return mine
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


# Operators that may be rectifiers, and how to find which input they rectify.
PLACES = {
    "Relu": lambda n: 0,
    "Clip": lambda n: 0 if _is_zero(_bound(n, 1)) else None,
    "Max": _in_max,
    "Mul": _in_mul,
    "Where": _in_where,
}
