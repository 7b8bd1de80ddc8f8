"""Attention as one operator; newer exporters write it, older ones spell it out."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import refused
from onnxplain.graphops.operators.operator import Operator

__all__ = ["OPERATORS"]

SPELLED_OUT = "export the model for an opset that spells it out (MatMul, Softmax, Mul, Add)"

OPERATORS: dict[str, Operator] = {
    "Attention": refused(SPELLED_OUT),
    "RotaryEmbedding": refused(SPELLED_OUT),
    "TensorScatter": refused(SPELLED_OUT),
}
