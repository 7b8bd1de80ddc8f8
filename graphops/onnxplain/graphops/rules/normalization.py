"""Vector-Jacobian products of the normalisations."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.graph import Node, attribute, onnx_type
from onnxplain.graphops.rules.table import Rule, Signals

__all__ = ["RULES"]


def _batch_normalization(op: Emitter, n: Node, g: Any) -> Signals:
    """With fixed statistics it is a scale for each channel: scale / √(variance + ε)."""
    if attribute(n, "training_mode", 0):
        raise UnsupportedModel(
            f"BatchNormalization '{n.name}' is in training mode: export the model for inference"
        )
    x, scale, variance = n.inputs[0], n.inputs[1], n.inputs[4]
    factor = op.Div(scale, op.Sqrt(op.Add(variance, attribute(n, "epsilon", 1e-5))))
    if onnx_type(scale) != onnx_type(x):  # mixed precision keeps the statistics in float32
        factor = op.Cast(factor, to=onnx_type(x))
    if x.shape is None:
        raise UnsupportedModel(f"'{x.name}', the input of '{n.name}', has no known rank")
    if len(x.shape) > 2:
        factor = op.Unsqueeze(factor, list(range(1, len(x.shape) - 1)))
    return op.Mul(g, factor), None, None, None, None


RULES: dict[str, Rule] = {"BatchNormalization": _batch_normalization}
