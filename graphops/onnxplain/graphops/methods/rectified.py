"""DeconvNet and guided backpropagation: tables that differ from the gradient's in rectifiers."""

from __future__ import annotations

from onnxplain.graphops.operators import GRADIENT, gate, rectifiers, rectifying_quantize

__all__ = ["DECONVNET", "GUIDED_BACKPROP"]

# Zeiler and Fergus 2014: rectify the signal, regardless of the rectifier's input.
DECONVNET = (
    GRADIENT
    | rectifiers(GRADIENT, lambda op, n, g: (op.Relu(g),))
    | {"QuantizeLinear": rectifying_quantize(gated=False)}
)

# Springenberg et al. 2015: rectify the signal, and gate it by the rectifier's input.
GUIDED_BACKPROP = (
    GRADIENT
    | rectifiers(GRADIENT, lambda op, n, g: (gate(op, n, op.Relu(g)),))
    | {"QuantizeLinear": rectifying_quantize(gated=True)}
)
