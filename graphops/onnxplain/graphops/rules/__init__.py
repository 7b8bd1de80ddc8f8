"""How a signal passes each operator: one function an operator, one table for all.

A rule is `(op, node, g) -> tuple` with one signal for each input, None where none flows. `g` is the
signal at the output; for an operator with several float outputs, a tuple with one entry each, None
where nothing arrives. `docs/add-a-rule.md` shows how to write one.
"""

from onnxplain.graphops.rules import (
    activation,
    convolution,
    elementwise,
    linear,
    normalization,
    pooling,
    shape,
)
from onnxplain.graphops.rules.table import NO_FLOW, Rule, Table, merge

__all__ = ["GRADIENT", "NO_FLOW", "Rule", "Table", "merge"]

GRADIENT: Table = merge(
    activation.RULES,
    convolution.RULES,
    elementwise.RULES,
    linear.RULES,
    normalization.RULES,
    pooling.RULES,
    shape.RULES,
)
