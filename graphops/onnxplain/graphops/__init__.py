"""The rewriter: turns a network into one plain ONNX graph that explains it, without a runtime.

from onnxplain.graphops import load, rewrite, save

model = load("net.onnx")
save(rewrite(model, "layer4", "guided_backprop"), "explained.onnx")
"""

from typing import TYPE_CHECKING

from onnxplain.graphops.lazy_import import on_first_use
from onnxplain.graphops.methods import METHODS, Method
from onnxplain.graphops.options import Option, Options

if TYPE_CHECKING:
    from onnxplain.graphops.analysis import Arithmetic, Layer
    from onnxplain.graphops.baked_pixels import bake_pixels
    from onnxplain.graphops.cutting import begin_at, forward, without_explanation
    from onnxplain.graphops.fully_convolutional import convolutionalize
    from onnxplain.graphops.ir import load, read_metadata, save
    from onnxplain.graphops.network import Network, layers
    from onnxplain.graphops.preflight import NodeReport, Report, check
    from onnxplain.graphops.rewriter import rewrite

__all__ = [
    "METHODS",
    "Arithmetic",
    "Layer",
    "Method",
    "Network",
    "NodeReport",
    "Option",
    "Options",
    "Report",
    "bake_pixels",
    "begin_at",
    "check",
    "convolutionalize",
    "forward",
    "layers",
    "load",
    "read_metadata",
    "rewrite",
    "save",
    "without_explanation",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Arithmetic": "analysis",
        "Layer": "analysis",
        "Network": "network",
        "NodeReport": "preflight",
        "Report": "preflight",
        "bake_pixels": "baked_pixels",
        "begin_at": "cutting",
        "check": "preflight",
        "convolutionalize": "fully_convolutional",
        "forward": "cutting",
        "layers": "network",
        "load": "ir",
        "read_metadata": "ir",
        "rewrite": "rewriter",
        "save": "ir",
        "without_explanation": "cutting",
    },
)
