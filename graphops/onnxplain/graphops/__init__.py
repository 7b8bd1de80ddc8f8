"""The rewriter: a network in, one plain ONNX graph out that explains it. No runtime inside.

from onnxplain.graphops import load, rewrite, save

model = load("net.onnx")
save(rewrite(model, "layer4", "guided_backprop"), "explained.onnx")
"""

from onnxplain.graphops.analysis import Arithmetic, Layer
from onnxplain.graphops.fully_convolutional import convolutionalize
from onnxplain.graphops.ir import load, read_metadata, save
from onnxplain.graphops.methods import METHODS, Method
from onnxplain.graphops.network import Network, layers
from onnxplain.graphops.options import Options
from onnxplain.graphops.preflight import NodeReport, Report, check
from onnxplain.graphops.rewriter import begin_at, forward, rewrite

__all__ = [
    "METHODS",
    "Arithmetic",
    "Layer",
    "Method",
    "Network",
    "NodeReport",
    "Options",
    "Report",
    "begin_at",
    "check",
    "convolutionalize",
    "forward",
    "layers",
    "load",
    "read_metadata",
    "rewrite",
    "save",
]
