"""How a signal passes each operator: one function an operator, one table for all.

A rule is `(op, node, g) -> tuple` with one signal for each input, None where none flows. `g` is the
signal at the output; for an operator with several float outputs, a tuple with one entry each, None
where nothing arrives. `docs/add-a-rule.md` shows how to write one.
"""

from onnxplain.graphops.rules import (
    activation,
    convolution,
    einsum,
    elementwise,
    gathering,
    linear,
    normalization,
    padding,
    pooling,
    quantization,
    reduction,
    resizing,
    sampling,
    scattering,
    shape,
)
from onnxplain.graphops.rules.rectifier import gate, rectifiers
from onnxplain.graphops.rules.table import NO_FLOW, REFUSED, Rule, Table, merge

__all__ = ["GRADIENT", "NO_FLOW", "REFUSED", "Rule", "Table", "gate", "merge", "rectifiers"]

RULES: Table = merge(
    activation.RULES,
    convolution.RULES,
    einsum.RULES,
    elementwise.RULES,
    gathering.RULES,
    linear.RULES,
    normalization.RULES,
    padding.RULES,
    pooling.RULES,
    quantization.RULES,
    reduction.RULES,
    resizing.RULES,
    sampling.RULES,
    scattering.RULES,
    shape.RULES,
)

# A rectifier passes nothing at zero, however it is spelled: not half, as Max otherwise would.
GRADIENT: Table = RULES | rectifiers(RULES, lambda op, n, g: (gate(op, n, g),))
