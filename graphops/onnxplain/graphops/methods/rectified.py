"""DeconvNet and guided backpropagation: tables that differ from the gradient's in rectifiers."""

from __future__ import annotations

from onnxplain.graphops.backward import chained
from onnxplain.graphops.fusion import ACTIVATION
from onnxplain.graphops.operators import GRADIENT, gate, rectifiers

__all__ = ["DECONVNET", "GUIDED_BACKPROP"]

# A composite activation is no rectifier, even if it contains one, as x·Clip(x + 3, 0, 6)/6 does.
BASE = GRADIENT | {ACTIVATION: chained}

# Zeiler and Fergus 2014: rectify the signal, regardless of the rectifier's input.
DECONVNET = BASE | rectifiers(GRADIENT, lambda op, n, g: (op.Relu(g),))

# Springenberg et al. 2015: rectify the signal, and gate it by the rectifier's input.
GUIDED_BACKPROP = BASE | rectifiers(GRADIENT, lambda op, n, g: (gate(op, n, op.Relu(g)),))
