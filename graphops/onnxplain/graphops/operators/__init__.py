"""The facts about each ONNX operator, one file per family.

An `Operator` has a vector-Jacobian product, batch check, receptive fields, sliding rule and cost.
`docs/add-a-rule.md` shows how to add one.
"""

from onnxplain.graphops.operators.attention import SPELLED, attention_softmax, through_attention
from onnxplain.graphops.operators.axes import AxisField, Fields
from onnxplain.graphops.operators.broadcast import unbroadcast
from onnxplain.graphops.operators.catalogue import (
    ACTIVATIONS,
    GRADIENT,
    NO_FLOW,
    OPERATORS,
    REFUSED,
    is_elementwise,
    operator_of,
)
from onnxplain.graphops.operators.max_pooling import choose_form, unpooling
from onnxplain.graphops.operators.normalization import DEVIATION_HELD
from onnxplain.graphops.operators.operator import Channels, Operator, SizesOnly, Without
from onnxplain.graphops.operators.quantization import rectifying_quantize
from onnxplain.graphops.operators.rectifier import PLACES, gate, is_rectifier, rectified, rectifiers
from onnxplain.graphops.operators.roles import (
    Line,
    Lines,
    Part,
    Places,
    Role,
    fresh,
    place_axes,
    role_of,
    unknown,
)
from onnxplain.graphops.operators.rules import (
    NOTHING,
    Rule,
    Signals,
    Table,
    broadcasting,
    in_float32,
    merge,
    to_first,
)
from onnxplain.graphops.operators.window import Window, is_dilated
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse

__all__ = [
    "ACTIVATIONS", "AxisField", "Channels", "DEVIATION_HELD", "Fields", "GRADIENT", "Line",
    "Lines", "NOTHING", "NO_FLOW", "OPERATORS", "Operator", "PLACES", "Part",
    "Placed", "Places", "REFUSED", "Role", "Rule", "SPELLED", "Signals", "SizesOnly", "Slide",
    "Table", "Window", "Without", "attention_softmax", "broadcasting", "choose_form", "fresh",
    "gate", "in_float32", "is_dilated", "is_elementwise", "is_rectifier", "merge",
    "operator_of", "place_axes", "rectified", "rectifiers", "rectifying_quantize", "refuse",
    "role_of", "through_attention", "to_first", "unbroadcast", "unknown", "unpooling",
]  # fmt: skip
