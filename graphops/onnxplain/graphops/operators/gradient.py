"""The gradient: the vector-Jacobian product of every operator, in one table."""

from __future__ import annotations

from onnxplain.graphops.operators import (
    activation,
    convolution,
    einsum,
    elementwise,
    gather,
    grid_sample,
    matmul,
    normalization,
    pooling,
    quantization,
    reduction,
    reshape,
    resize,
    scatter,
    slicing,
)
from onnxplain.graphops.operators.rectifier import gate, rectifiers
from onnxplain.graphops.operators.table import Table, merge

__all__ = ["GRADIENT"]

RULES: Table = merge(
    activation.RULES,
    convolution.RULES,
    einsum.RULES,
    elementwise.RULES,
    gather.RULES,
    matmul.RULES,
    normalization.RULES,
    slicing.RULES,
    pooling.RULES,
    quantization.RULES,
    reduction.RULES,
    resize.RULES,
    grid_sample.RULES,
    scatter.RULES,
    reshape.RULES,
)

# A rectifier passes nothing at zero, however it is spelled: not half, as Max otherwise would.
GRADIENT: Table = RULES | rectifiers(RULES, lambda op, n, g: (gate(op, n, g),))
