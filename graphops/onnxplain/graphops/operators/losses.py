"""Losses, which only training needs."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import refused
from onnxplain.graphops.operators.operator import Operator

__all__ = ["OPERATORS"]

INFERENCE = "a loss is for training: export the model for inference"

OPERATORS: dict[str, Operator] = {
    "NegativeLogLikelihoodLoss": refused(INFERENCE),
    "SoftmaxCrossEntropyLoss": refused(INFERENCE),
}
