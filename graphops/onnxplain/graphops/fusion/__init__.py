"""Groups of nodes that spell one operator, recognised once for all methods.

Exporters spell the same operator in different ways: SiLU as x·sigmoid(x), GELU with Erf,
LayerNormalization as ReduceMean, Sub, Pow, Sqrt and Div. A `Fused` node stands for such a group in
the backward pass; the forward pass keeps the nodes themselves.
"""

from onnxplain.graphops.fusion.fused import ACTIVATION, Fused
from onnxplain.graphops.fusion.recognition import recognize

__all__ = ["ACTIVATION", "Fused", "recognize"]
