"""DeconvNet, guided backpropagation, and the gradient that wakes units: by rules of rectifiers."""

from __future__ import annotations

from onnxplain.graphops.backward import Path, chained
from onnxplain.graphops.fusion import ACTIVATION
from onnxplain.graphops.ir import Emitter, Node, Tensor
from onnxplain.graphops.operators import (
    GRADIENT,
    Signals,
    Table,
    gate,
    is_rectifier,
    rectifiers,
    rectifying_quantize,
)
from onnxplain.graphops.options import Options

__all__ = ["DECONVNET", "GUIDED_BACKPROP", "waking"]

# A composite activation is no rectifier, even if it contains one, as x·Clip(x + 3, 0, 6)/6 does.
BASE = GRADIENT | {ACTIVATION: chained}

# Zeiler and Fergus 2014: rectify the signal, regardless of the rectifier's input.
DECONVNET = (
    BASE
    | rectifiers(GRADIENT, lambda op, n, g: (op.Relu(g),))
    | {"QuantizeLinear": rectifying_quantize(gated=False)}
)

# Springenberg et al. 2015: rectify the signal, and gate it by the rectifier's input.
GUIDED_BACKPROP = (
    BASE
    | rectifiers(GRADIENT, lambda op, n, g: (gate(op, n, op.Relu(g)),))
    | {"QuantizeLinear": rectifying_quantize(gated=True)}
)


def waking(path: Path, options: Options) -> Table:
    """Return the gradient's rules, but for the last rectifiers before the layer, which all pass.

    A unit that is off then has the gradient of its value before it is rectified.
    """
    last, behind = set(), {path.layer.name}  # tensors with no rectifier between them and the layer
    for node in reversed(path.nodes):
        if any(t.name in behind for t in node.outputs):
            if is_rectifier(node):
                last.add(node.name)
            else:
                behind.update(t.name for t in node.inputs)

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        return (g if n.name in last else gate(op, n, g),)

    return BASE | rectifiers(GRADIENT, rule)
