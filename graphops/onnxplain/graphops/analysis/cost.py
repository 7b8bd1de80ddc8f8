"""The cost of a layer: its window, its parameters, its multiply-adds per image."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxplain.graphops.ir import Node, is_constant, is_float
from onnxplain.graphops.operators import OPERATORS, Without

__all__ = ["Arithmetic", "arithmetic"]


@dataclass(frozen=True)
class Arithmetic:
    """The window, parameters and multiply-adds of one node.

    kernel, step, padding: of its window; the padding in pixels, all axes' begins, then all ends.
        None for operators without a window, and where they depend on unknown sizes.
    parameters: the number of its float weights, except those that an earlier node also reads, so
        that a sum over layers counts each once.
    multiply_adds: per image, of convolutions and matrix products; 0 for other operators, None where
        sizes are unknown.
    """

    kernel: tuple[int, ...] | None
    step: tuple[int, ...] | None
    padding: tuple[int, ...] | None
    parameters: int
    multiply_adds: int | None


def arithmetic(node: Node | None, counted: set[str]) -> Arithmetic:
    """Return the cost of a node; None stands for an input, which costs nothing.

    counted: the names of the weights that earlier nodes read; this node's are added.
    """
    if node is None:
        return Arithmetic(None, None, None, 0, 0)
    constants = [t for t in node.inputs if is_constant(t)]
    weights = {t.name: math.prod(t._values.shape) for t in constants if is_float(t)}
    parameters = sum(size for name, size in weights.items() if name not in counted)
    counted.update(weights)
    operator = OPERATORS.get(node.op)
    if operator is None or isinstance(operator.cost, Without):
        return Arithmetic(None, None, None, parameters, 0)
    cost = operator.cost(node)
    window = cost.window
    pads = window.static_pads() if window is not None else None
    return Arithmetic(
        kernel=tuple(window.kernel) if window is not None else None,
        step=tuple(window.strides) if window is not None else None,
        padding=None if pads is None else (*pads[0], *pads[1]),
        parameters=parameters,
        multiply_adds=cost.multiply_adds,
    )
