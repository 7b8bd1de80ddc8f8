"""The facts about each ONNX operator, one file per family.

An `Operator` has a vector-Jacobian product, batch check, receptive fields, sliding rule and cost.
`docs/add-a-rule.md` shows how to add one.
"""

from onnxplain.graphops.operators.axes import AxisField, Fields
from onnxplain.graphops.operators.broadcast import unbroadcast
from onnxplain.graphops.operators.catalogue import (
    ACTIVATIONS,
    GRADIENT,
    NO_FLOW,
    OPERATORS,
    REFUSED,
    operator_of,
)
from onnxplain.graphops.operators.max_pooling import choose_form, unpooling
from onnxplain.graphops.operators.operator import Channels, Operator, SizesOnly, Without
from onnxplain.graphops.operators.quantization import rectifying_quantize
from onnxplain.graphops.operators.rectifier import PLACES, gate, is_rectifier, rectified, rectifiers
from onnxplain.graphops.operators.rules import Rule, Signals, Table, broadcasting, in_float32, merge
from onnxplain.graphops.operators.window import Window, is_dilated
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse

__all__ = [
    "ACTIVATIONS", "AxisField", "Channels", "Fields", "GRADIENT", "NO_FLOW",
    "OPERATORS", "Operator", "PLACES", "Placed", "REFUSED", "Rule", "Signals",
    "SizesOnly", "Slide", "Table", "Window", "Without", "broadcasting", "choose_form",
    "gate", "in_float32", "is_dilated", "is_rectifier", "merge", "operator_of", "rectified",
    "rectifiers", "rectifying_quantize", "refuse", "unbroadcast", "unpooling",
]  # fmt: skip
