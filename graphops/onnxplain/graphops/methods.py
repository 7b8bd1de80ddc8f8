"""The methods: each is a table of rules, written as its difference from the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxplain.graphops.errors import UnknownMethod, nearest
from onnxplain.graphops.options import Position, SeedValue
from onnxplain.graphops.rules import GRADIENT, Table
from onnxplain.graphops.rules.rectifier import gate, rectifiers

__all__ = ["METHODS", "Method", "find_method"]


@dataclass(frozen=True)
class Method:
    """How a signal passes each operator, and where it starts unless the caller says otherwise."""

    name: str
    table: Table
    position: Position = "all"
    seed_value: SeedValue = "one"


# Zeiler and Fergus 2014: rectify the signal itself, whatever the rectifier's input was.
DECONVNET = GRADIENT | rectifiers(GRADIENT, lambda op, n, g: (op.Relu(g),))

# Springenberg et al. 2015: rectify the signal, and gate it by the rectifier's input.
GUIDED_BACKPROP = GRADIENT | rectifiers(GRADIENT, lambda op, n, g: (gate(op, n, op.Relu(g)),))

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("gradient", GRADIENT),
        Method("deconvnet", DECONVNET, position="max", seed_value="activation"),
        Method("guided_backprop", GUIDED_BACKPROP),
    )
}


def find_method(name: str) -> Method:
    """Return the method of that name. Raises UnknownMethod with the nearest names."""
    if name not in METHODS:
        raise UnknownMethod(f"no method '{name}' ({nearest(name, METHODS)})")
    return METHODS[name]
