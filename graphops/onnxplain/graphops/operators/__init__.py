"""What the rewriter knows of each ONNX operator, one room per family.

A rule is `(op, node, g) -> tuple` with one signal for each input, None where none flows. `g` is the
signal at the output; for an operator with several float outputs, a tuple with one entry each, None
where nothing arrives. `docs/add-a-rule.md` shows how to write one.
"""

from onnxplain.graphops.operators.activation import ACTIVATIONS
from onnxplain.graphops.operators.axes import POOLS, VIEWS, Axis, View, without
from onnxplain.graphops.operators.batching import ELEMENTWISE, ROW_WISE, keeps_rows
from onnxplain.graphops.operators.broadcast import unbroadcast
from onnxplain.graphops.operators.gradient import GRADIENT
from onnxplain.graphops.operators.pooling import unpooling
from onnxplain.graphops.operators.rectifier import (
    PLACES,
    gate,
    is_rectifier,
    rectified,
    rectifiers,
)
from onnxplain.graphops.operators.sliding import SLID
from onnxplain.graphops.operators.table import (
    NO_FLOW,
    ONWARDS,
    REFUSED,
    Rule,
    Signals,
    Table,
    broadcasting,
    in_float32,
    merge,
)
from onnxplain.graphops.operators.unpool import choose_form
from onnxplain.graphops.operators.window import Window, is_dilated
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse

__all__ = [
    "ACTIVATIONS", "ELEMENTWISE", "GRADIENT", "NO_FLOW", "ONWARDS", "PLACES", "POOLS", "REFUSED",
    "ROW_WISE", "SLID", "VIEWS", "Axis", "Placed", "Rule", "Signals", "Slide", "Table", "View",
    "Window", "broadcasting", "choose_form", "gate", "in_float32", "is_dilated", "is_rectifier",
    "keeps_rows", "merge", "rectified", "rectifiers", "refuse", "unbroadcast", "unpooling",
    "without",
]  # fmt: skip
