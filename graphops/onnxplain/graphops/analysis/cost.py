"""What a layer costs: its window, its parameters, its multiply-adds for one image."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxplain.graphops.ir import Node, Shape, is_constant, is_float, is_static, shape_of
from onnxplain.graphops.operators import OPERATORS, Without

__all__ = ["Arithmetic", "arithmetic"]


@dataclass(frozen=True)
class Arithmetic:
    """What one node does to get its output.

    kernel, step, padding: of its window, the last as pixels before all axes and then after them;
    None for operators without a window, and where they depend on sizes that are not known.
    parameters: the floats that it reads from the file, but those that a node before it reads too,
    so that a sum over layers counts each once. multiply_adds: for one image, of
    convolutions and matrix products; 0 for all else, None where sizes are not known.
    """

    kernel: tuple[int, ...] | None
    step: tuple[int, ...] | None
    padding: tuple[int, ...] | None
    parameters: int
    multiply_adds: int | None


def arithmetic(node: Node | None, counted: set[str]) -> Arithmetic:
    """Return what a node does; nothing for None, which stands for an input.

    counted: the names of weights that are no parameters of this node. Its own ones join them.
    """
    if node is None:
        return Arithmetic(None, None, None, 0, 0)
    constants = [t for t in node.inputs if is_constant(t) and is_float(t)]
    weights = {t.name: _product(shape_of(t)) or 0 for t in constants}
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


def _product(sizes: Shape) -> int | None:
    return math.prod(sizes) if is_static(sizes) else None
